package web

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// checkWithin bounds a Check: a prober gives up soon, and an answer that comes later helps nobody.
const checkWithin = 2 * time.Second

// Check answers 200 and "ok", or 503 and what is wrong in words. is has two seconds.
func Check(is func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkWithin)
		defer cancel()
		if err := is(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // a client that is gone is not an error of this agent
	})
}

// JSON answers with a value, as it is at the moment.
func JSON[T any](value func(context.Context) T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value(r.Context())) // likewise
	})
}
