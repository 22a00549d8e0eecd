package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hacluster/hacluster/internal/controller"
)

const (
	historyPath = "/v1/history"
	eventsPath  = "/v1/events"

	// eventsEvery is how often a stream looks for news. Nothing is queued for a client: what has happened is kept by the driver and the
	// replicated history, each bounded, and a client that reads slowly finds the newest of it.
	eventsEvery = 200 * time.Millisecond
	// verdictEvery is how often a stream makes a verdict, for which a follower asks the leader.
	verdictEvery = time.Second
	// eventClients bounds the streams.
	eventClients = 16
)

// Event is one line of 'hacluster events'.
type Event struct {
	Time time.Time `json:"time"`
	// Kind is state, silence, leaderless, elected or call, as this node saw it; agreed, for a line of the replicated history; or verdict.
	Kind  string      `json:"kind"`
	Term  uint64      `json:"term,omitempty"`
	Node  string      `json:"node,omitempty"` // who is missed, or who leads
	State *StateEvent `json:"state,omitempty"`
	Call  *CallEvent  `json:"call,omitempty"`
	// Agreed is a transition that the cluster committed.
	Agreed  *Transition `json:"agreed,omitempty"`
	Verdict *Verdict    `json:"verdict,omitempty"`
}

// StateEvent is a change of this node's state.
type StateEvent struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason,omitempty"`
}

// CallEvent is EC2's answer to a call of this node.
type CallEvent struct {
	Call
	AllocationID string `json:"allocation_id"`
}

func (s *Server) history(w http.ResponseWriter, _ *http.Request) {
	v := s.ctl.View()
	answer(w, moves(v.Committed.History, v.Moments))
}

// events streams news as JSON lines until the client goes or the agent ends.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if s.streams.Add(1) > eventClients {
		s.streams.Add(-1)
		http.Error(w, fmt.Sprintf("%d streams of events are open, which is all there may be: end one", eventClients), http.StatusServiceUnavailable)
		return
	}
	defer s.streams.Add(-1)
	w.Header().Set("Content-Type", "application/jsonl")
	stream := stream{server: s, out: json.NewEncoder(w), control: http.NewResponseController(w)}
	stream.skip(s.ctl.View())
	// The error is that the client is gone.
	_ = stream.run(r.Context())
}

// stream is one client's place in the news.
type stream struct {
	server  *Server
	out     *json.Encoder
	control *http.ResponseController

	moment  uint64 // number of the last moment told
	index   uint64 // of the last line of the history told
	verdict Verdict
	judged  time.Time
}

// skip makes what has happened so far old.
func (s *stream) skip(v *controller.View) {
	if n := len(v.Moments); n > 0 {
		s.moment = v.Moments[n-1].Number
	}
	s.index = v.Committed.Index
}

func (s *stream) run(ctx context.Context) error {
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	for {
		if err := s.tell(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tell writes what is new.
func (s *stream) tell(ctx context.Context) error {
	news := s.news(s.server.ctl.View())
	if time.Since(s.judged) >= verdictEvery {
		s.judged = time.Now()
		news = append(news, s.judge(ctx)...)
	}
	if len(news) == 0 {
		return nil
	}
	// A client that takes nothing is gone.
	if err := s.control.SetWriteDeadline(time.Now().Add(readTimeout)); err != nil {
		return err
	}
	for _, e := range news {
		if err := s.out.Encode(e); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

func (s *stream) news(v *controller.View) []Event {
	var news []Event
	for _, m := range v.Moments {
		if m.Number > s.moment {
			s.moment = m.Number
			news = append(news, eventOf(m))
		}
	}
	for _, h := range v.Committed.History {
		if h.Index > s.index {
			t := transitionOf(h)
			news = append(news, Event{Time: t.Time, Kind: "agreed", Term: t.Term, Agreed: &t})
		}
	}
	s.index = max(s.index, v.Committed.Index)
	return news
}

// judge returns the verdict if it says something else than before. The findings alone make no news: some hold an age.
func (s *stream) judge(ctx context.Context) []Event {
	now := *s.server.Survey(ctx).Verdict
	was := s.verdict
	s.verdict = now
	if now.Grade == was.Grade && now.Holds == was.Holds && now.Lose == was.Lose && len(now.Wrong) == len(was.Wrong) {
		return nil
	}
	return []Event{{Time: time.Now().UTC(), Kind: "verdict", Verdict: &now}}
}

func eventOf(m controller.Moment) Event {
	e := Event{Time: at(m.UnixMilli), Kind: string(m.Kind), Term: m.Term, Node: string(m.Node)}
	if c := m.Call; c != nil {
		e.Call = &CallEvent{Call: callOf(c), AllocationID: string(c.Address)}
	}
	if s := m.State; s != nil {
		e.State = &StateEvent{From: string(s.From), To: string(s.To), Reason: s.Reason}
	}
	return e
}

func callOf(c *controller.Call) Call {
	return Call{API: c.API, Outcome: c.Class.String(), TookMS: float64(c.Took.Microseconds()) / 1000}
}
