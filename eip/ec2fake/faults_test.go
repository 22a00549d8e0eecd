package ec2fake_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/hacluster/hacluster/eip/ec2fake"
)

const (
	short = ec2fake.Duration(60 * time.Millisecond)
	late  = ec2fake.Duration(time.Second) // before it a call is answered, though the machine is busy
	long  = ec2fake.Duration(time.Hour)
)

func (w *world) inject(faults ...ec2fake.Fault) {
	w.t.Helper()
	if err := w.fake.SetFaults(faults); err != nil {
		w.t.Fatal(err)
	}
}

// noAnswer is what a client sees of a closed connection.
const noAnswer = "no EC2 code"

func TestFaultOnAssociate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  ec2fake.Fault
		code   string // noAnswer: connection closed
		effect bool
	}{
		{"latency", ec2fake.Fault{Kind: ec2fake.Latency, Delay: short}, "", true},
		{"answer delay", ec2fake.Fault{Kind: ec2fake.AnswerDelay, Delay: short}, "", true},
		{"dropped", ec2fake.Fault{Kind: ec2fake.Drop}, noAnswer, false},
		{"lost answer", ec2fake.Fault{Kind: ec2fake.LostAnswer}, noAnswer, true},
		{"error without effect", ec2fake.Fault{Kind: ec2fake.ErrorBefore}, "InternalError", false},
		{"error with effect", ec2fake.Fault{Kind: ec2fake.ErrorAfter}, "InternalError", true},
		{"chosen error", ec2fake.Fault{Kind: ec2fake.ErrorBefore, Code: "Unavailable", Status: 503}, "Unavailable", false},
		{"throttled", ec2fake.Fault{Kind: ec2fake.Throttle}, "RequestLimitExceeded", false},
		{"denied", ec2fake.Fault{Kind: ec2fake.Deny}, "UnauthorizedOperation", false},
		{"another action's", ec2fake.Fault{Kind: ec2fake.Deny, Action: "DisassociateAddress"}, "", true},
		{"another caller's", ec2fake.Fault{Kind: ec2fake.Deny, Caller: instanceB}, "", true},
		{"this caller's, by instance", ec2fake.Fault{Kind: ec2fake.Deny, Caller: instanceA}, "UnauthorizedOperation", false},
		{"this caller's, by address", ec2fake.Fault{Kind: ec2fake.Deny, Caller: "127.0.0.1"}, "UnauthorizedOperation", false},
		{"this caller's, by key", ec2fake.Fault{Kind: ec2fake.Deny, Caller: keyID}, "UnauthorizedOperation", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.inject(tc.fault)
			start := time.Now()
			_, err := w.associate(alloc1, eniB, nil)
			if tc.code != noAnswer {
				wantCode(t, err, tc.code)
			} else if err == nil || !isClosed(err) {
				t.Errorf("got %v, want a closed connection", err)
			}
			if took := time.Since(start); took < time.Duration(tc.fault.Delay) {
				t.Errorf("took %s, want at least %s", took, time.Duration(tc.fault.Delay))
			}
			if id, _ := w.holder(); (id != "") != tc.effect {
				t.Errorf("association %q afterwards, want effect: %v", id, tc.effect)
			}
		})
	}
}

func isClosed(err error) bool {
	return len(code(err)) > len(noAnswer) && code(err)[:len(noAnswer)] == noAnswer
}

func TestLateEffectLandsAfterTheConnectionIsGone(t *testing.T) {
	w := newWorld(t)
	w.inject(ec2fake.Fault{Kind: ec2fake.LateEffect, Delay: late, Count: 1})
	start := time.Now()
	_, err := w.associate(alloc1, eniA, nil)
	if err == nil || time.Since(start) >= time.Duration(late) {
		t.Errorf("got %v after %s, want a closed connection at once", err, time.Since(start))
	}
	if id, _ := w.holder(); id != "" {
		t.Fatalf("effect %s came too early", id)
	}
	eventually(t, "the late effect", func() bool { id, _ := w.holder(); return id != "" })
	eventually(t, "the end of the call", func() bool { return w.fake.Calls(0)[0].Done })
	if c := w.fake.Calls(0)[0]; c.Effect-c.Received < int64(late) || c.Answered != 0 {
		t.Errorf("recorded effect %s after receipt, answered at %d", time.Duration(c.Effect-c.Received), c.Answered)
	}
}

// The case that makes a compare-and-set necessary: a call delayed beyond its successor. Late, it is judged by the state of
// then: a disassociate by an old id ends nothing, an associate without AllowReassociation fails.
func TestLateCallsAreJudgedByTheStateTheyFind(t *testing.T) {
	w := newWorld(t)
	first := w.mustAssociate(alloc1, eniA)
	w.inject(
		ec2fake.Fault{Kind: ec2fake.LateEffect, Delay: late, Count: 1, Action: "DisassociateAddress"},
		ec2fake.Fault{Kind: ec2fake.LateEffect, Delay: late, Count: 1, Action: "AssociateAddress"},
	)
	if err := w.disassociate(first); err == nil {
		t.Fatal("late disassociate was answered")
	}
	if _, err := w.associate(alloc1, eniC, aws.Bool(false)); err == nil {
		t.Fatal("late associate was answered")
	}
	successor := w.mustAssociate(alloc1, eniB)
	eventually(t, "the end of all calls", func() bool {
		for _, c := range w.fake.Calls(0) {
			if !c.Done {
				return false
			}
		}
		return true
	})
	if id, at := w.holder(); id != successor || at != instanceB {
		t.Errorf("%s at %s, want %s at %s", id, at, successor, instanceB)
	}
	calls := w.fake.Calls(1)
	if calls[0].Code != "InvalidAssociationID.NotFound" || calls[1].Code != "Resource.AlreadyAssociated" {
		t.Errorf("late calls ended with %s and %s", calls[0].Code, calls[1].Code)
	}
}

func TestEffectHappensAlthoughTheClientLeaves(t *testing.T) {
	w := newWorld(t)
	w.inject(ec2fake.Fault{Kind: ec2fake.Latency, Delay: late})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := w.sdk().AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: aws.String(alloc1), InstanceId: aws.String(instanceB)})
		gone <- err
	}()
	eventually(t, "receipt", func() bool { return len(w.fake.Calls(0)) == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("client got %v, want cancelled", err)
	}
	if c := w.fake.Calls(0)[0]; c.Effect != 0 {
		t.Fatal("the effect came before the client left: the test shows nothing")
	}
	eventually(t, "the effect", func() bool { _, at := w.holder(); return at == instanceB })
}

func TestStaleReads(t *testing.T) {
	now := newClock()
	w := newWorld(t, func(c *ec2fake.Config) { c.Now = now.Now })
	seen := func() string {
		out, err := w.sdk().DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{alloc1}})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.Addresses[0].AssociationId)
	}
	first := w.mustAssociate(alloc1, eniA)
	now.advance(10 * time.Second)
	second := w.mustAssociate(alloc1, eniB)
	now.advance(2 * time.Second)

	w.inject(ec2fake.Fault{Kind: ec2fake.StaleRead, Delay: ec2fake.Duration(5 * time.Second)})
	if got := seen(); got != first {
		t.Errorf("2 s after the change: saw %q, want the earlier %q", got, first)
	}
	now.advance(4 * time.Second)
	if got := seen(); got != second {
		t.Errorf("6 s after the change: saw %q, want %q", got, second)
	}
	w.inject(ec2fake.Fault{Kind: ec2fake.StaleRead, Delay: ec2fake.Duration(time.Minute)})
	if got := seen(); got != "" {
		t.Errorf("a minute back: saw %q, want none", got)
	}
	w.inject()
	if got := seen(); got != second {
		t.Errorf("healed: saw %q, want %q", got, second)
	}
}

func TestFaultCountsDown(t *testing.T) {
	w := newWorld(t)
	w.inject(ec2fake.Fault{Kind: ec2fake.Throttle, Count: 2})
	for n, want := range []string{"RequestLimitExceeded", "RequestLimitExceeded", ""} {
		if _, err := w.associate(alloc1, eniA, nil); code(err) != want {
			t.Errorf("call %d: got %q, want %q", n, code(err), want)
		}
	}
}

func TestFaultsApplyTogether(t *testing.T) {
	w := newWorld(t)
	w.inject(ec2fake.Fault{Kind: ec2fake.Latency, Delay: short}, ec2fake.Fault{Kind: ec2fake.LostAnswer})
	start := time.Now()
	_, err := w.associate(alloc1, eniB, nil)
	if err == nil || !isClosed(err) || time.Since(start) < time.Duration(short) {
		t.Errorf("got %v after %s, want a closed connection after %s", err, time.Since(start), time.Duration(short))
	}
	if _, at := w.holder(); at != instanceB {
		t.Error("no effect")
	}
}

// TestFaultsOfACall: the configuration may give each call faults of its own, and sees its number and its request.
func TestFaultsOfACall(t *testing.T) {
	w := newWorld(t, func(cfg *ec2fake.Config) {
		cfg.FaultsOf = func(r *http.Request, c ec2fake.Call) []ec2fake.Fault {
			if r.RemoteAddr == "" || c.Seq != 2 {
				return nil
			}
			return []ec2fake.Fault{{Kind: ec2fake.Throttle}}
		}
	})
	for number, want := range []string{"", "RequestLimitExceeded", ""} {
		_, err := w.associate(alloc1, eniA, nil)
		if got := code(err); got != want {
			t.Errorf("call %d: code %q, want %q", number+1, got, want)
		}
	}
	if kinds := w.fake.Calls(1)[0].Faults; len(kinds) != 1 || kinds[0] != ec2fake.Throttle {
		t.Errorf("the log says faults %v of the second call", kinds)
	}
}

func TestWrongFaultsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, f := range []ec2fake.Fault{{Kind: "gremlins"}, {Kind: ec2fake.Latency, Delay: -1}, {Kind: ec2fake.Deny, Count: -1}} {
		if err := w.fake.SetFaults([]ec2fake.Fault{f}); err == nil {
			t.Errorf("accepted %+v", f)
		}
	}
}

// Close must not wait for effects that are an hour away, and they must not land.
func TestCloseDropsPendingEffects(t *testing.T) {
	w := newWorld(t)
	w.inject(ec2fake.Fault{Kind: ec2fake.LateEffect, Delay: long})
	if _, err := w.associate(alloc1, eniA, nil); err == nil {
		t.Fatal("answered")
	}
	if err := w.fake.Close(); err != nil {
		t.Fatal(err)
	}
	if id, _ := w.holder(); id != "" {
		t.Errorf("effect %s landed", id)
	}
}
