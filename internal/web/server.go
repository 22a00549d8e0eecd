// Package web serves an agent's pages over HTTP, for reading only: no request changes anything.
package web

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

// A reader is a monitoring system or a person: whoever is slow, or sends much, is neither.
const (
	readWithin  = 5 * time.Second  // a request, its headers included
	writeWithin = 15 * time.Second // an answer
	idleFor     = 2 * time.Minute  // longer than the interval of scrapes, which keep their connection
	maxHeader   = 16 << 10         // bytes
	// connections bounds those that are open; further ones wait in the kernel's queue.
	connections = 64
)

// Server serves pages to whoever reaches its listener.
type Server struct {
	listener net.Listener
	mux      *http.ServeMux
	log      *zap.Logger
}

// Listen opens the address of http.listen, a host:port.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on http.listen %s: something else is there: give it another port, or write \"\" to do without: %w", address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on http.listen %s: this machine does not have the address: %w", address, err)
	case err != nil:
		return nil, fmt.Errorf("listen on http.listen %s: %w", address, err)
	}
	return l, nil
}

// NewServer returns a server on l, which it closes in the end.
func NewServer(l net.Listener, log *zap.Logger) *Server {
	return &Server{listener: netutil.LimitListener(l, connections), mux: http.NewServeMux(), log: log}
}

// Handle has GET and HEAD requests of a path, as [http.ServeMux] matches it, answered by h. Other methods are refused. Before Run.
func (s *Server) Handle(path string, h http.Handler) { s.mux.Handle("GET "+path, h) }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: guard(s.mux), BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: readWithin, ReadTimeout: readWithin, WriteTimeout: writeWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(noise{s.log}, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http.listen: %w", err)
	}
	return nil
}

// guard sets what holds for every answer: what is served is now, and nobody may guess at its type.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// noise takes what package http has to say of its clients, who are free to be wrong.
type noise struct{ log *zap.Logger }

func (n noise) Write(line []byte) (int, error) {
	n.log.Debug("http", zap.ByteString("line", line))
	return len(line), nil
}
