package statuspage

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/hacluster/hacluster/internal/adminapi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pageOf is a page that shows what survey says, at the time of these tests.
func pageOf(t *testing.T, survey func() adminapi.Status) *Page {
	t.Helper()
	p, err := New(func(context.Context) adminapi.Status { return survey() })
	if err != nil {
		t.Fatal(err)
	}
	p.now = now
	return p
}

func get(p *Page, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// TestPages: what somebody sees in each state, word by word.
func TestPages(t *testing.T) {
	for name, s := range states() {
		t.Run(name, func(t *testing.T) {
			got := get(pageOf(t, func() adminapi.Status { return s }), http.MethodGet, "/")
			if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Fatalf("answered %d, %s", got.Code, got.Header().Get("Content-Type"))
			}
			golden(t, name+".html", got.Body.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update if it is meant:\n%s", name, diff)
	}
}

// TestNothingIsMarkup: whatever a node, EC2 or the wire says is text. The parser of browsers finds the same elements as in a page of plain
// words, and no attribute that runs anything.
func TestNothingIsMarkup(t *testing.T) {
	s := states()["hostile"]
	page := get(pageOf(t, func() adminapi.Status { return s }), http.MethodGet, "/").Body.String()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	scripts, said := 0, 0
	for n := range root.Descendants() {
		switch {
		case n.Type == html.ElementNode && n.Data == "script":
			scripts++
		case n.Type == html.ElementNode && n.Data == "img":
			t.Error("an image came out of a text")
		case n.Type == html.TextNode && strings.Contains(n.Data, "<script>alert(1)</script>"):
			said++
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("<%s> has the attribute %s", n.Data, a.Key)
			}
		}
	}
	if scripts != 1 || said < 10 {
		t.Errorf("%d scripts, want the page's own; the text is shown %d times, want at least 10", scripts, said)
	}
}

// TestAnswersOfThePage: reading only, and every answer forbids what the page does not need.
func TestAnswersOfThePage(t *testing.T) {
	p := pageOf(t, healthy)
	tests := []struct {
		method, path string
		code         int
	}{
		{http.MethodGet, "/", 200}, {http.MethodHead, "/", 200}, {http.MethodGet, "/assets/page.css", 200}, {http.MethodGet, "/assets/page.js", 200},
		{http.MethodGet, "/assets/icon.svg", 200}, {http.MethodPost, "/", 405}, {http.MethodDelete, "/assets/page.js", 405},
		{http.MethodGet, "/page.html", 404}, {http.MethodGet, "/assets/../page.html", 307},
	}
	for _, tt := range tests {
		got := get(p, tt.method, tt.path)
		if got.Code != tt.code {
			t.Errorf("%s %s is answered %d, want %d", tt.method, tt.path, got.Code, tt.code)
		}
		h := got.Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; ") || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s %s: policy %q", tt.method, tt.path, h.Get("Content-Security-Policy"))
		}
		if h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, h)
		}
	}
}
