package statuspage

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hacluster/hacluster/internal/adminapi"
)

// A real browser looks at the pages: its own rules say what fits, what is legible and what is forbidden.

// patience is for a browser on a busy machine. Nothing waits that long for its own sake.
const patience = 60 * time.Second

// browser starts Chromium; the contexts of its tabs descend from the one returned.
func browser(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("NOT TESTED: chromium is not installed, and CI must have it: apt-get install chromium")
		}
		t.Skip("NOT TESTED: chromium is not installed: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience))
	alloc, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, closeBrowser := chromedp.NewContext(alloc)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// tab is one page in the browser, and what the browser had to say against it.
type tab struct {
	t          *testing.T
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

func open(t *testing.T, browser context.Context) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

// listen collects errors, exceptions and violations of the policy, which the browser reports as errors.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// result does an action that returns something.
func result[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// ask returns what an expression is worth in the page.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	return result(b, chromedp.Evaluate[T](expression))
}

// until waits until an expression is true in the page.
func (b *tab) until(expression string) {
	b.t.Helper()
	b.do(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(patience)))
}

// visit loads the page.
func (b *tab) visit(url string) {
	b.do(chromedp.Navigate(url+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
}

func (b *tab) press(key string) { b.do(chromedp.KeyEvent(key)) }

// command sends one of the protocol's.
func command[P, R any](b *tab, cmd cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, cmd, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		b.t.Errorf("the browser complains:\n%s", strings.Join(b.complaints, "\n"))
	}
}

// site serves a page whose state can be changed.
func site(t *testing.T, first adminapi.Status) (url string, show func(adminapi.Status), down func()) {
	t.Helper()
	var current atomic.Pointer[adminapi.Status]
	current.Store(&first)
	server := httptest.NewServer(pageOf(t, func() adminapi.Status { return *current.Load() }))
	t.Cleanup(server.Close)
	return server.URL, func(s adminapi.Status) { current.Store(&s) }, func() { server.CloseClientConnections(); server.Close() }
}

// illegible lists the texts whose contrast is less than WCAG 2.2 asks for at level AA (1.4.3): 4.5, whatever their size.
const illegible = `(() => {
  const parse = c => c.match(/[\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let looked = 0;
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || ["NOSCRIPT", "SCRIPT"].includes(e.tagName)) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    looked++;
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(texts.currentNode.data.trim() + ": " + ((a + 0.05) / (b + 0.05)).toFixed(2));
  }
  if (looked < 30) found.add("only " + looked + " texts were looked at");
  return [...found];
})()`

// TestInABrowser: on a phone and on a desk, in light and in dark, every state fits, is legible, and makes the browser complain of nothing.
// The screenshots are in build/statuspage, for people.
func TestInABrowser(t *testing.T) {
	chromium := browser(t)
	shots := filepath.Join("..", "..", "..", "build", "statuspage")
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	screens := []struct {
		name          string
		width, height int64
		scheme        string
	}{{"phone-light", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}, {"desk-light", 1280, 900, "light"}, {"desk-dark", 1280, 900, "dark"}}
	for name, s := range states() {
		t.Run(name, func(t *testing.T) {
			b := open(t, chromium)
			url, _, _ := site(t, s)
			for _, screen := range screens {
				b.do(chromedp.EmulateViewport(screen.width, screen.height))
				command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}})
				b.visit(url)
				png := result(b, chromedp.FullScreenshot(100))
				if err := os.WriteFile(filepath.Join(shots, name+"-"+screen.name+".png"), png, 0o644); err != nil {
					t.Fatal(err)
				}
				if wide := ask[int64](b, "document.documentElement.scrollWidth"); wide > screen.width {
					t.Errorf("%s: the page is %d pixels wide on a screen of %d", screen.name, wide, screen.width)
				}
				if name == "nothing-known" {
					continue // there is little to read
				}
				if bad := ask[[]string](b, illegible); len(bad) > 0 {
					t.Errorf("%s: too little contrast:\n%s", screen.name, strings.Join(bad, "\n"))
				}
			}
			b.quiet()
		})
	}
	t.Run("by keyboard", func(t *testing.T) { byKeyboard(t, chromium) })
	t.Run("without JavaScript", func(t *testing.T) { withoutScript(t, chromium) })
	t.Run("kept up to date", func(t *testing.T) { upToDate(t, chromium) })
}

// byKeyboard: the first Tab shows a way past the header, and each link can be seen to have the focus.
func byKeyboard(t *testing.T, chromium context.Context) {
	b := open(t, chromium)
	url, _, _ := site(t, states()["healthy"])
	b.visit(url)
	b.press("\t")
	if at := ask[string](b, `document.activeElement.className`); at != "skip" {
		t.Errorf("the first Tab goes to %q", at)
	}
	if left := ask[float64](b, `document.activeElement.getBoundingClientRect().left`); left < 0 {
		t.Errorf("the way past the header cannot be seen: it is at %v", left)
	}
	b.press("\r")
	b.until(`document.activeElement.id === "main"`)
	for _, link := range []string{"status", "metrics", "readyz"} {
		b.press("\t")
		if at := ask[string](b, `document.activeElement.getAttribute("href")`); at != link {
			t.Errorf("Tab goes to %q, want %q", at, link)
		}
		if ring := ask[string](b, `getComputedStyle(document.activeElement).outlineStyle`); ring == "none" {
			t.Errorf("nobody sees that %q has the focus", link)
		}
	}
	b.quiet()
}

// withoutScript: the page is whole, and a browser without scripts is told to load it again.
func withoutScript(t *testing.T, chromium context.Context) {
	b := open(t, chromium)
	url, _, _ := site(t, states()["failover"])
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(url)
	text := ask[string](b, `document.querySelector("main").innerText`)
	for _, want := range []string{"Critical", "Safe to lose a node now?", "node-a does not answer the leader", "Timeline"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if n := ask[int](b, `document.querySelectorAll('noscript meta[http-equiv="refresh"]').length`); n != 1 {
		t.Error("the page is not loaded again")
	}
	b.quiet()
}

// upToDate: news replace what they are about and leave the focus alone; an agent that is gone is not taken for one that is content.
func upToDate(t *testing.T, chromium context.Context) {
	b := open(t, chromium)
	url, show, down := site(t, states()["healthy"])
	b.visit(url)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("footer a").focus()`))
	show(states()["failover"])
	b.until(`document.querySelector("#verdict h2").textContent === "Critical"`)
	if title := ask[string](b, "document.title"); !strings.HasPrefix(title, "Critical") {
		t.Errorf("the title is still %q", title)
	}
	if at := ask[string](b, `document.activeElement.getAttribute("href")`); at != "status" {
		t.Errorf("the focus went to %q", at)
	}
	b.quiet()
	down()
	b.until(`document.querySelector("#stale").textContent.includes("does not answer")`)
}
