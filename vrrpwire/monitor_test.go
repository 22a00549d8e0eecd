package vrrpwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

var leaderAddr = netip.MustParseAddr("10.97.0.4")

// stage is a node that hears what a test lets it hear. It knows two peers; by its owner's knowledge it is the turn of leaderAddr.
type stage struct {
	*Endpoint
	segment *Segment
	logged  *observer.ObservedLogs
}

func newStage(t *testing.T, change func(*Config)) stage {
	t.Helper()
	segment := NewSegment()
	w := world{open: segment.Open, now: func() time.Duration { return time.Hour + time.Since(time.Unix(946684800, 0)) }} // a bubble's epoch
	core, logged := observer.New(zapcore.DebugLevel)
	cfg := w.config(t)
	cfg.Logger = zap.New(core)
	cfg.Peers = []netip.Addr{peerAddr, leaderAddr}
	cfg.MayReign = func(peer netip.Addr) bool { return peer == leaderAddr }
	if change != nil {
		change(&cfg)
	}
	e, _ := w.start(t, cfg, fresh(w.now).permit)
	return stage{Endpoint: e, segment: segment, logged: logged}
}

// hears lets an advert arrive.
func (s stage) hears(t *testing.T, from netip.Addr, a Advertisement) {
	t.Helper()
	payload, err := a.Append(nil, from, nodeAddr, ChecksumPseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	s.hearsBytes(from, payload)
}

func (s stage) hearsBytes(from netip.Addr, payload []byte) {
	s.segment.deliver(packet{src: from, dst: nodeAddr, ttl: 255, payload: payload})
	synctest.Wait()
}

// hearsFor lets an advert arrive each 100 ms.
func (s stage) hearsFor(t *testing.T, d time.Duration, from netip.Addr, a Advertisement) {
	t.Helper()
	for end := time.Now().Add(d); ; time.Sleep(100 * ms) {
		s.hears(t, from, a)
		if !time.Now().Before(end) {
			return
		}
	}
}

// matters are those of the notices on one sender.
func (s stage) matters(from netip.Addr) []Reason {
	var all []Reason
	for _, sender := range s.Senders() {
		for _, n := range sender.Notices {
			if sender.Address == from {
				all = append(all, n.Matter)
			}
		}
	}
	return all
}

func advertOf(priority uint8) Advertisement {
	return Advertisement{Version: 3, VRID: 51, Priority: priority, Interval: 100 * ms}
}

// Who advertises out of turn is told, once it is no mere overlap of a hand-over.
func TestForeignMaster(t *testing.T) {
	v2 := Advertisement{Version: 2, VRID: 51, Priority: 254, Interval: time.Second}
	tests := map[string]struct {
		sender netip.Addr
		scene  func(t *testing.T, s stage)
		want   []Reason
	}{
		"it is the leader's turn": {leaderAddr, func(t *testing.T, s stage) {
			s.hearsFor(t, 5*time.Second, leaderAddr, advertOf(254))
		}, nil},
		"a deposed Master goes on while its evidence is fresh": {peerAddr, func(t *testing.T, s stage) {
			s.hearsFor(t, 300*ms, peerAddr, advertOf(254))
		}, nil},
		"twice, an hour apart": {peerAddr, func(t *testing.T, s stage) {
			s.hearsFor(t, 300*ms, peerAddr, advertOf(254))
			time.Sleep(time.Hour)
			s.hearsFor(t, 300*ms, peerAddr, advertOf(254))
		}, nil},
		"a peer goes on for longer": {peerAddr, func(t *testing.T, s stage) {
			s.hearsFor(t, foreignAfter, peerAddr, advertOf(1))
		}, []Reason{MatterForeignMaster}},
		"a keepalived that speaks VRRPv2": {peerAddr, func(t *testing.T, s stage) {
			s.hears(t, peerAddr, v2)
			time.Sleep(time.Second)
			s.hears(t, peerAddr, v2)
		}, []Reason{MatterForeignMaster, ReasonVersion}},
		"a peer that stops": {peerAddr, func(t *testing.T, s stage) {
			s.hearsFor(t, 2*time.Second, peerAddr, advertOf(PriorityStop))
		}, nil},
		"a stranger, at once": {strangerAddr, func(t *testing.T, s stage) {
			s.hears(t, strangerAddr, advertOf(1))
		}, []Reason{MatterForeignMaster}},
		"a stranger that stops": {strangerAddr, func(t *testing.T, s stage) {
			s.hears(t, strangerAddr, advertOf(PriorityStop))
		}, []Reason{ReasonUnknownSender}},
		"a stranger of another virtual router": {strangerAddr, func(t *testing.T, s stage) {
			s.hears(t, strangerAddr, Advertisement{Version: 3, VRID: 52, Priority: 254, Interval: time.Second})
		}, []Reason{ReasonUnknownSender}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, nil)
				test.scene(t, s)
				if diff := cmp.Diff(test.want, s.matters(test.sender)); diff != "" {
					t.Errorf("notices (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The operator is told what is seen, why it is harmless or not, and what to do.
func TestNoticesNameTheRemedy(t *testing.T) {
	asV2 := func(a Advertisement) []byte {
		payload, _ := a.Append(nil, peerAddr, nodeAddr, ChecksumAsV2)
		return payload
	}
	tests := map[string]struct {
		from    netip.Addr
		payload []byte
		want    string // the newest notice; empty: there is none
	}{
		"a foreign master": {strangerAddr, nil, "10.97.0.3, which is no configured peer, also advertises VRID 51 with priority 254 (foreign master): " +
			"no advert moves the Elastic IP, but a notify script of keepalived's can: find what sends them there and stop it"},
		"another checksum mode": {peerAddr, asV2(advertOf(100)), "VRRP packets of 10.97.0.2 are not accepted, chk_err: " +
			"the checksum is computed the way as-v2, want pseudo-header: write the same checksum mode on both"},
		"keepalived's auth_hmac": {peerAddr, append(asV2(advertOf(100)), unhex(t, trailer)...), "VRRP packets of 10.97.0.2 are not accepted, packet_len_err: " +
			"keepalived's auth_hmac is not spoken here: remove it there"},
		"another virtual router of a peer is none of ours": {peerAddr, asV2(Advertisement{Version: 3, VRID: 52, Priority: 1, Interval: time.Second}), ""},
		"noise of a stranger": {strangerAddr, []byte("noise"), "VRRP packets of 10.97.0.3 are not accepted, unknown_sender: " +
			"no configured peer: stop it, or close IP protocol 112 to it in the security group"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, nil)
				if test.payload == nil {
					s.hears(t, test.from, advertOf(254))
				} else {
					s.hearsBytes(test.from, test.payload)
				}
				got := ""
				for _, sender := range s.Senders() {
					for _, n := range sender.Notices {
						got = n.Text
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("notice (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		began := s.cfg.Now()
		s.hears(t, leaderAddr, advertOf(200))
		time.Sleep(time.Second)
		slow := advertOf(201)
		slow.Interval = time.Second
		s.hears(t, leaderAddr, slow)
		s.hearsBytes(peerAddr, []byte{1})
		want := []Sender{
			{Address: peerAddr, Peer: true, Rejected: map[Reason]uint64{ReasonLength: 1}, Notices: []Notice{{
				Matter: ReasonLength, Count: 1, First: began + time.Second, Last: began + time.Second,
				Text: "VRRP packets of 10.97.0.2 are not accepted, packet_len_err: malformed VRRP advertisement: 1 bytes, want at least 8",
			}}},
			{Address: leaderAddr, Peer: true, Last: slow, LastAt: began + time.Second, Adverts: 2, Rejected: map[Reason]uint64{}, Notices: []Notice{{
				Matter: MatterInterval, Count: 1, First: began + time.Second, Last: began + time.Second,
				Text: "10.97.0.4 advertises every 1s, this node every 100ms: write the same advertisement interval on both",
			}}},
		}
		if diff := cmp.Diff(want, s.Senders(), sameAdvert); diff != "" {
			t.Errorf("Senders (-want +got):\n%s", diff)
		}
		s.Senders()[0].Rejected[ReasonLength]++
		if s.Senders()[0].Rejected[ReasonLength] != 1 {
			t.Error("a caller changed the table")
		}
	})
}

// What goes on is logged at once, and then each minute with the number of packets since.
func TestNoticesAreSummarised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		s.hearsFor(t, 2*time.Minute, strangerAddr, advertOf(254))
		var packets []int64
		for _, line := range s.logged.All() {
			packets = append(packets, int64(line.ContextMap()["packets"].(uint64)))
		}
		if diff := cmp.Diff([]int64{1, 600, 600}, packets); diff != "" {
			t.Errorf("packets in each line (-want +got):\n%s", diff)
		}
	})
}

// A stranger can forge any number of senders. It fills neither the table nor the log.
func TestForgedSendersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const forged = 1000
		s := newStage(t, nil)
		var last netip.Addr
		for i := range uint32(forged) {
			last = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+i)))
			s.hears(t, last, advertOf(254))
			time.Sleep(ms)
		}
		s.hears(t, peerAddr, advertOf(100))
		senders := s.Senders()
		if len(senders) != 2+maxStrangers || senders[0].Address != peerAddr || senders[len(senders)-1].Address != last {
			t.Errorf("%d senders from %v to %v, want the peers and the newest %d others", len(senders), senders[0].Address, senders[len(senders)-1].Address, maxStrangers)
		}
		if stats := s.Stats(); stats.Rejected[ReasonUnknownSender] != forged || stats.ForeignMaster != forged || stats.Received != 1 {
			t.Errorf("counted %+v", stats)
		}
		if n := s.logged.Len(); n != linesPerSummary {
			t.Errorf("%d lines logged, want %d", n, linesPerSummary)
		}
	})
}

// I1, I3: packets are evidence and never authority. Whatever priority anyone claims, at whatever rate, a reign goes on, and what
// changes is counters. A peer's claim costs a new acknowledgement of the quorum for each advert; a stranger's costs nothing.
func TestFloodsChangeCounters(t *testing.T) {
	tests := map[string]struct {
		from  netip.Addr
		every time.Duration
		late  time.Duration // an advert may be by so much
	}{
		"a stranger, each millisecond": {from: strangerAddr, every: ms},
		"a peer, each 33 ms":           {from: peerAddr, every: 33 * ms, late: 20 * ms},
	}
	for name, test := range tests {
		for _, priority := range []uint8{PriorityStop, 1, 254, PriorityOwner} {
			t.Run(fmt.Sprintf("%s, priority %d", name, priority), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { flood(t, test.from, priority, test.every, test.late) })
			})
		}
	}
}

func flood(t *testing.T, from netip.Addr, priority uint8, every, late time.Duration) {
	t.Helper()
	w := memoryWorld(t)
	quorum := fresh(w.now)
	cfg := w.config(t)
	cfg.Logger = nil
	cfg.NeedEvidence = quorum.renew // the quorum answers at once
	cfg.MayReign = func(netip.Addr) bool { return false }
	e, _ := w.start(t, cfg, quorum.permit)
	e.Reign(0)
	port := map[netip.Addr]datagrams{peerAddr: w.peer, strangerAddr: w.stranger}[from]
	ctx, cancel := context.WithCancel(t.Context())
	var flooding sync.WaitGroup
	sent := uint64(0)
	flooding.Go(func() {
		time.Sleep(every / 2)
		for ; ctx.Err() == nil; sent++ {
			say(t, port, from, advertOf(priority))
			time.Sleep(every)
		}
	})
	heard := record(t, w, 2*time.Second)
	cancel()
	flooding.Wait()

	slots := make(map[time.Duration]bool)
	for _, a := range heard {
		if a.Priority != cfg.Priority {
			t.Fatalf("at %v the node advertises priority %d, want %d", a.At, a.Priority, cfg.Priority)
		}
		if a.At%cfg.Interval <= late {
			slots[a.At/cfg.Interval] = true
		}
	}
	if len(slots) < 20 {
		t.Errorf("adverts in %d of 20 slots: %v", len(slots), heard)
	}
	stats := e.Stats()
	if stats.BecomeMaster != 1 || stats.ReleaseMaster != 0 || stats.Suppressed != 0 || stats.Received+stats.Rejected[ReasonUnknownSender] != sent {
		t.Errorf("counted %+v after %d packets, want one reign that goes on", stats, sent)
	}
}
