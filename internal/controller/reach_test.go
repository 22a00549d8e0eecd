package controller

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/fsm"
)

func (w *world) answering(names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reachable = names
}

// TestAnswering: the leader knows who answers it, itself included, and tells the others; one that leads no more tells nothing.
func TestAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.call = func(context.Context, eip.Permit) (eip.AssociationID, error) { return "x1", nil }
		d, stop := start(t, w)
		ask := func() *httptest.ResponseRecorder {
			answer := httptest.NewRecorder()
			d.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, reachPath, strings.NewReader("{}")))
			return answer
		}
		w.answering("node-b")
		w.lead(t, 2)
		synctest.Wait()
		w.answering("node-b", "node-c") // no time passes: who answers is told, though the core has not looked yet
		got, err := d.Answering(t.Context())
		if want := []fsm.NodeName{"node-a", "node-b", "node-c"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("the leader says %v, %v", got, err)
		}
		if told := ask(); told.Code != http.StatusOK || told.Body.String() != `{"nodes":["node-a","node-b","node-c"]}`+"\n" {
			t.Errorf("it tells %d %s", told.Code, told.Body)
		}
		w.follow(3)
		synctest.Wait()
		if told := ask(); told.Code != http.StatusConflict {
			t.Errorf("a follower tells %d %s", told.Code, told.Body)
		}
		if got, err := d.Answering(t.Context()); err == nil {
			t.Errorf("a leader that does not answer says %v", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
