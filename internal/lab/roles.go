package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

const (
	roleNode   = "node"
	roleWeb    = "web"
	roleClient = "client"

	nodeHeader = probe.NodeHeader
)

// Roles are what the hosts of the lab do; the program that starts a lab must call host.Main with them when its first
// argument is host.Command.
func Roles() map[string]host.Role {
	return map[string]host.Role{roleNode: host.Init, roleWeb: serveWeb, roleClient: probe.Client}
}

// serveWeb is a web server that answers with its name.
func serveWeb(line *os.File, args []string) error {
	server := &http.Server{Addr: ":80", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, args[0])
	})}
	// The line is silent, and ends with the lab.
	stop := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, line)
		stop <- errors.Join(err, server.Shutdown(context.Background()))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stop
}
