package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

// FuzzRequests: whatever a peer posts, to the Master or to one that was deposed: it is answered, a body that is not understood changes
// nothing, one who does not lead calls nothing (I1), and the committed state stays one that a snapshot carries.
func FuzzRequests(f *testing.F) {
	f.Fuzz(func(t *testing.T, route uint8, deposed bool, body []byte) {
		paths := []string{reportPath, releasePath, transferPath}
		path := paths[int(route)%len(paths)]
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.call = func(_ context.Context, permit eip.Permit) (eip.AssociationID, error) { return "x1", permit() }
			d, stop := start(t, w)
			w.lead(t, 2)
			time.Sleep(2 * contactEvery)
			synctest.Wait()
			if d.View().State != Master {
				t.Fatalf("state %s, want Master", d.View().State)
			}
			if deposed {
				w.follow(3)
				synctest.Wait()
			}
			before, called := w.replica.State(), len(w.calls)
			code := post(t, d, path, body)
			after := w.replica.State()
			switch {
			case code == http.StatusBadRequest:
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("not understood, and yet:\n%s", diff)
				}
			case code != http.StatusOK && code != http.StatusConflict:
				t.Errorf("answered %d", code)
			}
			if deposed && len(w.calls) != called {
				t.Errorf("a deposed node calls %q", w.calls[called:])
			}
			expectCarried(t, after)
			_ = stop() // nobody takes the leadership over, so it may take its time
		})
	})
}

// post waits until all that follows from a request at once has happened.
func post(t *testing.T, d *Driver, path string, body []byte) (code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	recorder := httptest.NewRecorder()
	d.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)).WithContext(ctx))
	synctest.Wait()
	if recorder.Code == http.StatusOK && !json.Valid(recorder.Body.Bytes()) {
		t.Errorf("answered %q", recorder.Body)
	}
	return recorder.Code
}

func expectCarried(t *testing.T, s fsm.State) {
	t.Helper()
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := fsm.Restore(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, restored, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("a snapshot has lost something:\n%s", d)
	}
}
