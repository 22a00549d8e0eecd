package ec2fake

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/hacluster/hacluster/internal/boottime"
)

// OutcomeOK is the Code of a Call that was answered with success.
const OutcomeOK = "OK"

// maxCalls bounds the calls kept in memory. When it is reached the oldest half is dropped; the log keeps all.
const maxCalls = 1 << 17

// Call is one request to the EC2 API. Times are nanoseconds: wall clock since 1970, or CLOCK_BOOTTIME for the *Boot ones;
// 0 means that it did not happen (yet).
type Call struct {
	Seq          int64 `json:"seq"` // from 1, in the order of receipt
	Received     int64 `json:"received_ns"`
	ReceivedBoot int64 `json:"received_boot_ns"`
	Caller
	Action string `json:"action"`
	// Parameters are all but Action and Version.
	Parameters         map[string]string `json:"parameters,omitempty"`
	DryRun             bool              `json:"dry_run,omitempty"`
	AllowReassociation *bool             `json:"allow_reassociation,omitempty"` // as sent; nil: absent
	Faults             []Kind            `json:"faults,omitempty"`
	Outcome
}

// Caller is who made a Call. All but Source are empty if not known.
type Caller struct {
	Source    string `json:"source"`             // the address that the request came from
	Instance  string `json:"instance,omitempty"` // the instance with that address
	AccessKey string `json:"access_key,omitempty"`
}

// Outcome is what became of a Call.
type Outcome struct {
	// Code is OutcomeOK or the error code that was answered. Without an answer it is what would have been.
	Code   string `json:"code,omitempty"`
	Status int    `json:"status,omitempty"`
	// AssociationID is the id that AssociateAddress returned, or that DisassociateAddress ended.
	AssociationID string `json:"association_id,omitempty"`
	// Changed says that the call changed an association.
	Changed    bool  `json:"changed,omitempty"`
	Effect     int64 `json:"effect_ns,omitempty"`
	EffectBoot int64 `json:"effect_boot_ns,omitempty"`
	Answered   int64 `json:"answered_ns,omitempty"` // 0: the answer was lost on purpose
	Done       bool  `json:"done"`                  // false: still being worked on
}

// Mutating reports whether the call was meant to change an association: AssociateAddress or DisassociateAddress without
// DryRun.
func (c Call) Mutating() bool {
	return !c.DryRun && (c.Action == actionAssociate || c.Action == actionDisassociate)
}

// callLog numbers, keeps and writes the calls.
type callLog struct {
	mu    sync.Mutex
	last  int64
	calls []*Call
	out   io.Writer
	err   error // of the first write that went wrong
}

// open takes up a new call.
func (l *callLog) open(c Call) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	c.Seq = l.last
	if len(l.calls) >= maxCalls {
		l.calls = append([]*Call(nil), l.calls[maxCalls/2:]...)
	}
	l.calls = append(l.calls, &c)
	return &c
}

// update changes a call under the lock that its readers hold.
func (l *callLog) update(c *Call, change func(*Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(c)
}

// close ends a call and writes its line.
func (l *callLog) close(c *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Done = true
	if l.out == nil || l.err != nil {
		return
	}
	l.err = json.NewEncoder(l.out).Encode(c)
}

// since returns the calls with numbers above seq.
func (l *callLog) since(seq int64) []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Call{}
	for _, c := range l.calls {
		if c.Seq > seq {
			out = append(out, *c)
		}
	}
	return out
}

// stamp returns the wall clock and CLOCK_BOOTTIME, both in nanoseconds. They are the machine's own, whatever Config.Now says,
// because the log is compared with other logs of the machine.
func stamp() (wall, boot int64) { return time.Now().UnixNano(), int64(boottime.Now()) }

// newest returns the number of the newest call.
func (l *callLog) newest() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *callLog) writeError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
