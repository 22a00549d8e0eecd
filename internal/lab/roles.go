package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"

	"github.com/hacluster/hacluster/internal/lab/host"
	"github.com/hacluster/hacluster/internal/lab/probe"
)

const (
	roleNode   = "node"
	roleWeb    = "web"
	roleClient = "client"
	roleBurner = "burner"

	nodeHeader = probe.NodeHeader
)

// Roles are what the hosts of the lab do; the program that starts a lab must call host.Main with them when its first
// argument is host.Command.
func Roles() map[string]host.Role {
	return map[string]host.Role{roleNode: host.Init, roleWeb: serveWeb, roleClient: probe.Client, roleBurner: burn}
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

// burn keeps every core busy, with one thread each, until the line ends.
func burn(line *os.File, _ []string) error {
	for range runtime.NumCPU() {
		go func() {
			var sum [sha256.Size]byte
			for {
				sum = sha256.Sum256(sum[:])
			}
		}()
	}
	_, err := io.Copy(io.Discard, line)
	return err
}

// Burn keeps every core of the machine busy until stop is called.
func (l *Lab) Burn() (stop func() error, err error) {
	burner, err := l.startHost(host.Spec{Name: roleBurner, Role: roleBurner})
	if err != nil {
		return nil, err
	}
	return burner.Kill, nil
}
