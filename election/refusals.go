package election

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Why a connection was refused, apart from what Security says.
const (
	notForUs       = "not_for_this_node"
	notAMember     = "not_a_member"
	operatorInRaft = "operator_in_raft"
	crowdedOut     = "crowded_out"
	forbidden      = "forbidden"
	misdirected    = "misdirected"
	notAccepted    = "not_accepted"
	unknownReason  = "malformed"
)

// refusal is an error with a word to count it by.
type refusal struct {
	why string
	error
}

// Reason is that word.
func (r refusal) Reason() string { return r.why }

// Unwrap returns the cause.
func (r refusal) Unwrap() error { return r.error }

// refusals counts connections that were refused or cut, by reason, and logs them: for each reason the first at once, and then one a
// minute at most. A stranger can cause as many as it likes.
type refusals struct {
	log *zap.Logger // nil: they are only counted

	mu       sync.Mutex
	byReason map[string]*tally
}

type tally struct {
	count  uint64
	unsaid uint64 // since the last line
	said   time.Time
}

func newRefusals(log *zap.Logger) *refusals {
	return &refusals{log: log, byReason: make(map[string]*tally)}
}

// unnamed stands for a sender that is not known where it is refused.
type unnamed struct{}

func (unnamed) String() string { return "unknown" }

// note counts one.
func (r *refusals) note(remote fmt.Stringer, err error) { r.tell("refused a connection", remote, err) }

// request counts a request over a connection that itself is welcome.
func (r *refusals) request(remote fmt.Stringer, err error) { r.tell("refused a request", remote, err) }

func (r *refusals) tell(line string, remote fmt.Stringer, err error) {
	const pause, longest = time.Minute, 500 // bytes: a stranger may have written part of it
	why := unknownReason
	var known interface{ Reason() string }
	if errors.As(err, &known) {
		why = known.Reason()
	}
	unsaid, due := r.count(why, time.Now(), pause)
	// Whoever dials the node that was here before its restart is nothing to act on.
	if r.log == nil || !due || why == notForUs {
		return
	}
	text := err.Error()
	r.log.Warn(line, zap.String("reason", why), zap.Stringer("remote", remote),
		zap.String("error", text[:min(len(text), longest)]), zap.Uint64("unlogged", unsaid))
}

// count also says whether a line is due, and how many went without one.
func (r *refusals) count(why string, now time.Time, pause time.Duration) (unsaid uint64, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.byReason[why]
	if t == nil {
		t = &tally{}
		r.byReason[why] = t
	}
	t.count++
	if !t.said.IsZero() && now.Sub(t.said) < pause {
		t.unsaid++
		return 0, false
	}
	unsaid, t.unsaid, t.said = t.unsaid, 0, now
	return unsaid, true
}

// counts returns how many there were, by reason.
func (r *refusals) counts() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]uint64, len(r.byReason))
	for why, t := range maps.All(r.byReason) {
		counts[why] = t.count
	}
	return counts
}

func (r *refusals) total() (sum uint64) {
	for _, n := range r.counts() {
		sum += n
	}
	return sum
}
