package adminapi

import (
	"time"

	"github.com/hacluster/hacluster/internal/controller"
)

// VRRP is what one node sent and heard on the wire since its agent started.
type VRRP struct {
	Sent                 uint64            `json:"advert_sent"`
	PriorityZeroSent     uint64            `json:"pri_zero_sent"`
	Received             uint64            `json:"advert_rcvd"`
	PriorityZeroReceived uint64            `json:"pri_zero_rcvd"`
	BecomeMaster         uint64            `json:"become_master"`
	ReleaseMaster        uint64            `json:"release_master"`
	Suppressed           uint64            `json:"suppressed"`
	ForeignMaster        uint64            `json:"foreign_master"`
	IntervalMismatch     uint64            `json:"interval_mismatch"` // adverts accepted with another interval than this node's (VRRPv3)
	SendErrors           uint64            `json:"send_errors"`       // packets, one peer each
	Rejected             map[string]uint64 `json:"rejected"`          // packets, by keepalived's name for the reason
	Senders              []Sender          `json:"senders"`
	Notices              []Notice          `json:"notices"` // of the last ten minutes, the newest of each sender first
}

// Sender is what was heard from one address.
type Sender struct {
	Address  string            `json:"address"`
	Node     string            `json:"node,omitempty"`
	Peer     bool              `json:"peer"`
	Adverts  uint64            `json:"adverts"` // of this virtual router
	Rejected map[string]uint64 `json:"rejected,omitempty"`
	Last     *Advert           `json:"last,omitempty"` // nil: none was heard
}

// Advert is the newest one of a sender.
type Advert struct {
	Version    int   `json:"version"`
	Priority   int   `json:"priority"`
	IntervalMS int64 `json:"interval_ms"`
	AgeMS      int64 `json:"age_ms"`
}

// Notice is something on the wire that an operator should look at.
type Notice struct {
	Address string `json:"address"`
	Matter  string `json:"matter"`
	Text    string `json:"text"`
	Packets uint64 `json:"packets"`
	SinceMS int64  `json:"since_ms"` // age of the first packet
	AgeMS   int64  `json:"age_ms"`   // and of the newest
}

// noticeShown is how long after its last packet a notice is shown.
const noticeShown = 10 * time.Minute

func describeTraffic(t *controller.Traffic) *VRRP {
	if t == nil {
		return nil
	}
	v := &VRRP{
		Sent: t.Stats.Sent, PriorityZeroSent: t.Stats.PriorityZeroSent,
		Received: t.Stats.Received, PriorityZeroReceived: t.Stats.PriorityZeroReceived,
		BecomeMaster: t.Stats.BecomeMaster, ReleaseMaster: t.Stats.ReleaseMaster,
		Suppressed: t.Stats.Suppressed, ForeignMaster: t.Stats.ForeignMaster, IntervalMismatch: t.Stats.IntervalMismatch,
		SendErrors: t.Stats.SendErrors, Rejected: byName(t.Stats.Rejected),
	}
	for _, s := range t.Senders {
		v.Senders = append(v.Senders, describeSender(s, t.Now))
		for _, n := range s.Notices {
			if t.Now-n.Last <= noticeShown {
				v.Notices = append(v.Notices, Notice{Address: s.Address.String(), Matter: string(n.Matter), Text: n.Text, Packets: n.Count,
					SinceMS: (t.Now - n.First).Milliseconds(), AgeMS: (t.Now - n.Last).Milliseconds()})
			}
		}
	}
	return v
}

func describeSender(s controller.Sender, now time.Duration) Sender {
	out := Sender{Address: s.Address.String(), Node: string(s.Node), Peer: s.Peer, Adverts: s.Adverts, Rejected: byName(s.Rejected)}
	if s.Adverts > 0 {
		out.Last = &Advert{Version: int(s.Last.Version), Priority: int(s.Last.Priority),
			IntervalMS: s.Last.Interval.Milliseconds(), AgeMS: (now - s.LastAt).Milliseconds()}
	}
	return out
}

func byName[Reason ~string](counts map[Reason]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(counts))
	for reason, n := range counts {
		out[string(reason)] = n
	}
	return out
}
