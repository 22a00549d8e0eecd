package election

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// thief has the certificate and the key of a member, and uses them from anywhere.
type thief struct {
	s      *secured
	name   string
	stolen pkitest.Pair
}

// connect goes through the handshake to a node, and says what for. wrap, if not nil, looks at the bytes on the wire.
func (th thief) connect(ctx context.Context, node, protocol, target string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", th.s.config(node).address())
	if err != nil {
		return nil, err
	}
	if wrap != nil {
		conn = wrap(conn)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(th.s.ca.Certificate())
	secured := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: node + ".test.hacluster", NextProtos: []string{protocol},
		Certificates: []tls.Certificate{th.stolen.TLS(th.s.t.(*testing.T))}})
	if _, err := io.WriteString(secured, target+"\n"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}

// post sends a request to a node.
func (th thief) post(node, path, body string, wrap func(net.Conn) net.Conn) (status int, answer string) {
	t := th.s.t
	t.Helper()
	transport := &http.Transport{DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return th.connect(ctx, node, rpcProtocol, node, wrap)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+node+path, strings.NewReader(body))
	must(t, err)
	request.Header.Set(clusterHeader, "test")
	response, err := transport.RoundTrip(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(text)
}

func newThief(s *secured, name string) thief {
	return thief{s: s, name: name, stolen: s.ca.Node(s.t.(*testing.T), name, "test")}
}

// expectRefused waits until a node has counted so many refusals.
func expectRefused(t *testing.T, p *process, reason string, least uint64) {
	t.Helper()
	eventually(t, reason+" counted", func() error {
		if got := p.Status().Refusals; got[reason] < least {
			return fmt.Errorf("%s refused %v, want %d of %s", p.cfg.Name, got, least, reason)
		}
		return nil
	})
}

// taped keeps what is written to a connection.
type taped struct {
	net.Conn
	mu   sync.Mutex
	tape bytes.Buffer
}

func (c *taped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tape.Write(p)
	return c.Conn.Write(p)
}

// TestARecordedConnectionIsWorthNothing: whoever records a node's connection, handshake and request, and sends the same bytes again, is
// refused: TLS 1.3 without early data.
func TestARecordedConnectionIsWorthNothing(t *testing.T) {
	var asked atomic.Int32
	s := newSecured(t, 3, func(cfg *Config) {
		cfg.RPC = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); writeJSON(w, struct{}{}) })
	})
	s.start()
	s.leader()
	var recorded *taped
	status, _ := newThief(s, "node-b").post("node-a", "/v1/anything", "{}", func(c net.Conn) net.Conn {
		recorded = &taped{Conn: c}
		return recorded
	})
	if status != http.StatusOK || asked.Load() != 1 {
		t.Fatalf("the request itself: status %d, asked %d times", status, asked.Load())
	}
	before := s.nodes["node-a"].Status().RefusedConnections
	for range 3 {
		conn := dialRaw(t, s.config("node-a").address())
		_, _ = conn.Write(recorded.tape.Bytes())
		expectClosed(t, conn)
	}
	eventually(t, "three more refusals", func() error {
		if got := s.nodes["node-a"].Status(); got.RefusedConnections < before+3 {
			return fmt.Errorf("%v", got.Refusals)
		}
		return nil
	})
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times after the replay", n)
	}
}

// TestAMemberJoinsForItself: a stolen certificate lets nobody speak for another node, and what is refused is counted.
func TestAMemberJoinsForItself(t *testing.T) {
	s := newSecured(t, 3, func(cfg *Config) {
		cfg.RPC = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, known := Caller(r.Context())
			_, _ = fmt.Fprint(w, who, known)
		})
	})
	s.start()
	s.leader()
	stolen := newThief(s, "node-b")
	if _, answer := stolen.post("node-a", "/v1/who", "{}", nil); answer != "node-btrue" {
		t.Errorf("the handler was told %q", answer)
	}
	join := fmt.Sprintf(`{"node":"node-c","server_id":"node-c.x","address":%q,"applied_index":%d}`, s.config("node-c").address(),
		uint64(math.MaxUint64))
	status, answer := stolen.post("node-a", joinPath, join, nil)
	if status != http.StatusForbidden || !strings.Contains(answer, `node-b asks to let "node-c" in`) {
		t.Errorf("join for another: %d %s", status, answer)
	}
	expectRefused(t, s.nodes["node-a"], forbidden, 1)
}

// thiefStream is a Raft of the thief's.
type thiefStream struct {
	net.Listener
	thief
}

func (s thiefStream) Dial(target raft.ServerAddress, _ time.Duration) (net.Conn, error) {
	node, id, _ := strings.Cut(string(target), "/")
	return s.connect(s.s.t.Context(), node, raftProtocol, id, nil)
}

// TestAbsurdTermsAreRefused: Raft takes over whatever term it hears of, and writes it down. After 2^64-1 there would be no next one, and no
// leader ever again, on any node. Stolen or broken, one member must not do that.
func TestAbsurdTermsAreRefused(t *testing.T) {
	s := newSecured(t, 3)
	s.start()
	leader, term := s.leader()
	s.apply("before")
	evil := s.evilRaft()
	defer func() { _ = evil.Close() }()
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("node-b.x"), Addr: []byte("x")}
	for name, p := range s.nodes {
		id := p.self.serverID()
		to := raft.ServerAddress(name + "/" + string(id))
		for _, absurd := range []uint64{maxTerm + 1, math.MaxUint64} {
			for what, err := range map[string]error{
				"vote": evil.RequestVote(id, to, &raft.RequestVoteRequest{RPCHeader: header, Term: absurd, LastLogIndex: absurd, LastLogTerm: absurd,
					LeadershipTransfer: true}, &raft.RequestVoteResponse{}),
				"pre-vote": evil.RequestPreVote(id, to, &raft.RequestPreVoteRequest{RPCHeader: header, Term: absurd, LastLogIndex: absurd,
					LastLogTerm: absurd}, &raft.RequestPreVoteResponse{}),
				"append": evil.AppendEntries(id, to, &raft.AppendEntriesRequest{RPCHeader: header, Term: absurd}, &raft.AppendEntriesResponse{}),
				"snapshot": evil.InstallSnapshot(id, to, &raft.InstallSnapshotRequest{RPCHeader: header, SnapshotVersion: 1, Term: absurd},
					&raft.InstallSnapshotResponse{}, strings.NewReader("")),
			} {
				if err == nil || !strings.Contains(err.Error(), "which no cluster reaches") {
					t.Errorf("%s of %s in term %d: %v", what, name, absurd, err)
				}
			}
		}
		expectRefused(t, p, absurdTerm, 8)
	}
	s.expectSameLeader(leader, term)
}

// TestEntriesThatRaftDoesNotSurvive: some requests make hashicorp/raft panic, at once or at each start after that.
func TestEntriesThatRaftDoesNotSurvive(t *testing.T) {
	s := newSecured(t, 3)
	s.start()
	leader, term := s.leader()
	s.apply("before")
	evil := s.evilRaft()
	defer func() { _ = evil.Close() }()
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("node-b.x"), Addr: []byte("x")}
	for name, p := range s.nodes {
		id := p.self.serverID()
		to := raft.ServerAddress(name + "/" + string(id))
		last := p.LastIndex()
		for what, entry := range map[string]*raft.Log{
			"nothing":              nil,
			"an unknown type":      {Index: last + 1, Term: term + 1, Type: 99},
			"a type of the past":   {Index: last + 1, Term: term + 1, Type: raft.LogAddPeerDeprecated},
			"a configuration":      {Index: last + 1, Term: term + 1, Type: raft.LogConfiguration, Data: []byte{0xc1}},
			"an empty one":         {Index: last + 1, Term: term + 1, Type: raft.LogConfiguration},
			"a configuration, cut": {Index: last + 1, Term: term + 1, Type: raft.LogConfiguration, Data: []byte("\x81\xa7Servers\x92\x83")},
		} {
			err := evil.AppendEntries(id, to, &raft.AppendEntriesRequest{RPCHeader: header, Term: term + 1, PrevLogEntry: last, PrevLogTerm: term,
				Entries: []*raft.Log{entry}, LeaderCommitIndex: last + 1}, &raft.AppendEntriesResponse{})
			if err == nil || !strings.Contains(err.Error(), "sends a") {
				t.Errorf("%s is taken by %s: %v", what, name, err)
			}
		}
		err := evil.InstallSnapshot(id, to, &raft.InstallSnapshotRequest{RPCHeader: header, SnapshotVersion: 1, Term: term + 1},
			&raft.InstallSnapshotResponse{}, strings.NewReader(""))
		if err == nil || !strings.Contains(err.Error(), "a configuration that is none") {
			t.Errorf("a snapshot without a configuration is taken by %s: %v", name, err)
		}
	}
	s.expectSameLeader(leader, term)
}

// evilRaft speaks Raft with the certificate of node-b.
func (s *secured) evilRaft() *raft.NetworkTransport {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: thiefStream{l, newThief(s, "node-b")}, MaxPool: 1,
		Timeout: 10 * time.Second, Logger: hclog.NewNullLogger()})
}

// snapshotOf is an InstallSnapshotRequest of term 1, in msgpack. What it announces does not follow.
func snapshotOf(size uint64) []byte {
	members := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "node-b.x", Address: "x"}}})
	b := []byte("\x02\x85\xafProtocolVersion\x03\xa4Term\x01\xafSnapshotVersion\x01\xadConfiguration\xda")
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(members))), members...)
	return binary.BigEndian.AppendUint64(append(b, "\xa4Size\xcf"...), size)
}

// TestEndlessRaftRequests: a member that never comes to an end, or talks nonsense, is cut off; the cluster goes on.
func TestEndlessRaftRequests(t *testing.T) {
	s := newSecured(t, 3)
	s.start()
	leader, term := s.leader()
	s.apply("before")
	stolen := newThief(s, "node-b")
	manyEntries := append([]byte{0, 0x81, 0xa7}, "Entries\xdd\xff\xff\xff\xff"...) // a map of one key, an array of 2^32-1
	for name, test := range map[string]struct {
		begin, again []byte
		reason       string
	}{
		"entries without end":  {manyEntries, bytes.Repeat([]byte{0x80}, 64<<10), tooLong},
		"a key without end":    {[]byte{0, 0x81, 0xdb, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{'x'}, 64<<10), tooLong},
		"nesting without end":  {append([]byte{0, 0x81, 0xa1}, 'x'), bytes.Repeat([]byte{0x91}, 64<<10), ""},
		"no such request":      {[]byte{99}, nil, ""},
		"random bytes":         {[]byte("\x01\xc1\xff\x00\x12\x93garbage"), nil, ""},
		"a snapshot of 2^63-1": {snapshotOf(math.MaxInt64), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			victim := s.nodes["node-a"]
			conn, err := stolen.connect(t.Context(), "node-a", raftProtocol, string(victim.self.serverID()), nil)
			must(t, err)
			defer func() { _ = conn.Close() }()
			before := victim.Status().Refusals[test.reason]
			_, err = conn.Write(test.begin)
			for sent := 0; err == nil && len(test.again) > 0; sent += len(test.again) {
				if sent > maxRaftSnapshot { // far more than sockets hold
					t.Fatal("it still listens")
				}
				_, err = conn.Write(test.again)
			}
			if test.reason != "" {
				expectRefused(t, victim, test.reason, before+1)
			}
			if len(test.again) == 0 {
				_ = conn.(*tls.Conn).CloseWrite()
			}
			expectClosed(t, conn)
		})
	}
	s.expectSameLeader(leader, term)
}

// TestASnapshotThatNeverComes: a leader that dies while it sends a snapshot, or a member that only begins to, must not keep Raft waiting for the
// rest: it reads it in its main loop, and without it a node neither follows nor votes.
func TestASnapshotThatNeverComes(t *testing.T) {
	s := newSecured(t, 3)
	s.start()
	s.leader()
	s.apply("before")
	for name, p := range s.nodes {
		conn, err := newThief(s, "node-b").connect(t.Context(), name, raftProtocol, string(p.self.serverID()), nil)
		must(t, err)
		defer func() { _ = conn.Close() }()
		_, err = conn.Write(snapshotOf(1 << 20))
		must(t, err)
	}
	s.apply("after")
	s.expectEverywhere("before", "after")
}

// TestAMemberDoesNotFillTheHouse: with a stolen certificate one can open connections, and hold them; each takes a quarter of a megabyte.
func TestAMemberDoesNotFillTheHouse(t *testing.T) {
	const extra = 20
	s := newSecured(t, 3)
	s.start()
	s.leader()
	s.apply("before")
	victim, stolen := s.nodes["node-a"], newThief(s, "node-b")
	var opening sync.WaitGroup
	for range 4 {
		opening.Go(func() {
			for range (maxOpen + extra) / 4 {
				conn, err := stolen.connect(t.Context(), "node-a", raftProtocol, string(victim.self.serverID()), nil)
				if err == nil {
					t.Cleanup(func() { _ = conn.Close() })
				}
			}
		})
	}
	opening.Wait()
	expectRefused(t, victim, crowdedOut, extra/2)
	s.apply("after")
	s.expectEverywhere("before", "after")
}

// answeringAbsurdly is a peer that answers in a term that is none.
type answeringAbsurdly struct{ preVoteTransport }

func (answeringAbsurdly) RequestVote(_ raft.ServerID, _ raft.ServerAddress, _ *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	resp.Term = math.MaxUint64
	return nil
}

func (answeringAbsurdly) RequestPreVote(_ raft.ServerID, _ raft.ServerAddress, _ *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	resp.Term = math.MaxUint64
	return nil
}

func (answeringAbsurdly) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	resp.Term = math.MaxUint64
	return nil
}

// TestAbsurdAnswersAreRefused: a candidate takes over a term from an answer, too.
func TestAbsurdAnswersAreRefused(t *testing.T) {
	_, inner := raft.NewInmemTransport("")
	tr := newTransport(answeringAbsurdly{inner}, func() time.Duration { return 0 }, newEvidence())
	for what, err := range map[string]error{
		"vote":     tr.RequestVote("node-b.1", "", &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{}),
		"pre-vote": tr.RequestPreVote("node-b.1", "", &raft.RequestPreVoteRequest{}, &raft.RequestPreVoteResponse{}),
		"append":   tr.AppendEntries("node-b.1", "", &raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{}),
	} {
		expectSentence(t, err, "node-b.1 speaks of term 18446744073709551615")
		if err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// TestRefusedRequestsAreCounted, without TLS too: who means another node, or another cluster.
func TestRefusedRequestsAreCounted(t *testing.T) {
	c := newCluster(t, 1)
	c.start()
	a := c.nodes["node-a"]
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "http://node-x"+identityPath, strings.NewReader("{}"))
	a.rpcHandler().ServeHTTP(recorder, request)
	if recorder.Code != http.StatusMisdirectedRequest {
		t.Errorf("answered %d", recorder.Code)
	}
	expectRefused(t, a, misdirected, 1)
}

// TestARedirectOfAMemberLeadsNowhere: the answer to a call must not make the caller repeat it elsewhere, in its own name.
func TestARedirectOfAMemberLeadsNowhere(t *testing.T) {
	var asked atomic.Int32
	s := newSecured(t, 3, func(cfg *Config) {
		name := cfg.Name
		cfg.RPC = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name == "node-b" && r.URL.Path == "/v1/anything" {
				http.Redirect(w, r, "http://node-c/v1/else", http.StatusTemporaryRedirect)
				return
			}
			asked.Add(1)
			writeJSON(w, struct{}{})
		})
	})
	s.start()
	s.leader()
	err := s.nodes["node-a"].Call(t.Context(), "node-b", "/v1/anything", struct{}{}, nil)
	var answered *CallError
	if !errors.As(err, &answered) || answered.Peer != "node-b" || answered.Status != http.StatusTemporaryRedirect {
		t.Errorf("the redirect = %v", err)
	}
	if asked.Load() != 0 {
		t.Error("node-a asked node-c for what node-b chose")
	}
}
