// Package statuspage is the page at which people look at a cluster: one node's view of it, for reading only. Everything it needs is in the
// binary; it is whole without JavaScript, and with it keeps itself up to date.
package statuspage

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"time"

	"github.com/hacluster/hacluster/internal/adminapi"
)

//go:embed page.html assets
var files embed.FS

// policy lets the page load its own style, script and icon, fetch itself anew, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page answers GET and HEAD of "/" and of "/assets/".
type Page struct {
	survey func(context.Context) adminapi.Status
	now    func() time.Time
	page   *template.Template
	mux    *http.ServeMux
}

// New returns a page of what survey says at each request. survey must not wait for long: somebody is looking.
func New(survey func(context.Context) adminapi.Status) (*Page, error) {
	page, err := template.New("page.html").Funcs(words).ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("parse the status page: %w", err)
	}
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("open the status page's assets: %w", err)
	}
	p := &Page{survey: survey, now: time.Now, page: page, mux: http.NewServeMux()}
	p.mux.HandleFunc("GET /{$}", p.show)
	p.mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	p.mux.ServeHTTP(w, r)
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	// Written to a buffer first: half a page must not look like a whole one.
	var page bytes.Buffer
	if err := p.page.Execute(&page, view{Status: p.survey(r.Context()), Now: p.now().UTC()}); err != nil {
		http.Error(w, "the status page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w) // a client that is gone is not an error of this agent
}
