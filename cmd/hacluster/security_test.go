package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/pki/pkitest"
)

// These tests attack the built binary. docs/SECURITY.md says what they show.

const (
	mallory = 12345 // an ordinary user
	// mostGrowth is how much memory an agent may take more while it is attacked, in KiB: far less than what is thrown at it.
	mostGrowth = 192 << 10
)

// peakMemory returns the greatest resident size of the agent so far, in KiB.
func (m *member) peakMemory() int {
	m.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	must(m.t, err)
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		m.t.Fatalf("no VmHWM in %s", status)
	}
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	must(m.t, err)
	return kib
}

// expectSlim checks that an attack has not cost much memory.
func (m *member) expectSlim(before int) {
	m.t.Helper()
	grown := m.peakMemory() - before
	m.t.Logf("%s took %d KiB more", m.name, grown)
	if grown > mostGrowth {
		m.t.Errorf("%s took %d KiB more memory", m.name, grown)
	}
}

// runAs runs a program as a user.
func runAs(t *testing.T, uid uint32, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestAnOrdinaryUserGetsNothing: neither by the admin socket, nor from the data directory. And what is in the agent's memory, not even
// another process of the agent's own user gets, such as a hook.
func TestAnOrdinaryUserGetsNothing(t *testing.T) {
	needRoot(t)
	m := startMember(t, "node-c", 3, freePort(t), "http://127.0.0.1:9", "127.0.0.1:9")
	waitFor(t, "an agent", func() bool { _, err := m.status(); return err == nil })
	binary, err := buildOnce()
	must(t, err)
	environ := fmt.Sprintf("/proc/%d/environ", m.cmd.Process.Pid)
	for _, tt := range []struct {
		name string
		uid  uint32
		argv []string
		want string // "" = it works, so that the others prove something
	}{
		{"root asks for the status", 0, []string{binary, "status", "--socket", m.socket()}, ""},
		{"somebody asks for the status", mallory, []string{binary, "status", "--socket", m.socket()}, "no permission"},
		{"somebody asks for a transfer", mallory, []string{binary, "transfer", "--socket", m.socket()}, "no permission"},
		{"root reads the store", 0, []string{"cat", filepath.Join(m.data(), "raft", "raft.db")}, ""},
		{"somebody reads the store", mallory, []string{"cat", filepath.Join(m.data(), "raft", "raft.db")}, "Permission denied"},
		{"root reads the environment", 0, []string{"cat", environ}, ""},
		{"somebody reads the environment", mallory, []string{"cat", environ}, "Permission denied"},
		{"the agent's user reads the environment", nobody, []string{"cat", environ}, "Permission denied"},
		{"root looks for memory", 0, []string{"cat", fmt.Sprintf("/proc/%d/maps", m.cmd.Process.Pid)}, ""},
		{"the agent's user looks for memory", nobody, []string{"cat", fmt.Sprintf("/proc/%d/maps", m.cmd.Process.Pid)}, "Permission denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := runAs(t, tt.uid, tt.argv[0], tt.argv[1:]...)
			if slices.Contains(tt.argv, "status") && exitStatus(err) == 1 && strings.Contains(out, "holds") {
				err = nil // it was answered: not all is well
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(out, tt.want)) {
				t.Errorf("%v: %.300s", err, out)
			}
		})
	}
}

// TestFloodsOnThePort: what a host that reaches the port can do to an agent without a certificate, and, without TLS, with all the right words.
// The agent takes little memory, goes on answering, and tells what it refused.
func TestFloodsOnThePort(t *testing.T) {
	needRoot(t)
	work := t.TempDir()
	ca := pkitest.NewAuthority(t)
	dir := pkitest.Dir(work)
	dir.Trust(t, ca)
	dir.Write(t, ca.Node(t, "node-c", "test"))
	for name, secured := range map[string]bool{"TLS": true, "without TLS": false} {
		t.Run(name, func(t *testing.T) {
			var settings []string
			if secured {
				files := install(t, work, "", "node-c")
				settings = append(settings, fmt.Sprintf("tls: {ca: %[1]s/ca.crt, cert: %[1]s/node.crt, key: %[1]s/node.key}", files))
			}
			port := freePort(t)
			m := startMember(t, "node-c", 3, port, "http://127.0.0.1:9", "127.0.0.1:9", settings...)
			waitFor(t, "an agent", func() bool { _, err := m.status(); return err == nil })
			before := m.peakMemory()
			besiege(t, fmt.Sprintf("127.0.0.3:%d", port), func() {
				if _, err := m.status(); err != nil {
					t.Errorf("under attack: %v", err)
				}
			})
			m.expectSlim(before)
			waitFor(t, "a status that tells of it", func() bool {
				out, err := m.hacluster("status")
				return err == nil && strings.Contains(out, "connections refused since the start: ") && strings.Contains(out, "crowded_out")
			})
		})
	}
}

// besiege attacks a port in several ways at once, and looks on meanwhile.
func besiege(t *testing.T, address string, look func()) {
	t.Helper()
	rpc := "hacluster-rpc/1 node-c\n"
	post := rpc + "POST /v1/identity HTTP/1.1\r\nHost: node-c\r\nHacluster-Cluster: test\r\n"
	var attacks sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for _, attack := range []struct {
		count        int
		begin, again string // again is repeated until so much is sent or nobody listens
		most         int
	}{
		{count: 1000}, // says nothing
		{count: 300, begin: "\x16\x03\x01\x02\x00\x01"}, // the beginning of a handshake
		{count: 300, begin: "GET / HTTP/1.1\r\n\r\n"},
		{count: 20, again: strings.Repeat("x", 64<<10), most: 16 << 20},
		{count: 20, begin: rpc + "POST / HTTP/1.1\r\nHost: x\r\n", again: "X-Y: " + strings.Repeat("z", 60<<10) + "\r\n", most: 16 << 20},
		{count: 20, begin: post + "Content-Length: 1073741824\r\n\r\n", again: strings.Repeat(" ", 64<<10), most: 16 << 20},
		{count: 20, begin: "hacluster-raft/1 node-c.x\n", again: strings.Repeat("\x81", 64<<10), most: 16 << 20},
	} {
		for range attack.count {
			attacks.Go(func() {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				_, err = io.WriteString(conn, attack.begin)
				for sent := 0; err == nil && sent < attack.most; sent += len(attack.again) {
					_, err = io.WriteString(conn, attack.again)
				}
				_, _ = io.Copy(io.Discard, conn) // until it is cut off
			})
		}
	}
	look()
	attacks.Wait()
	look()
}

// TestAHostileEndpoint: in the middle of a cluster's life EC2 answers what it should not: without end, with ids of a megabyte, with errors of a
// megabyte, with terminal escapes. The agents say that EC2 is out of reach, in few words and little memory, and go on when it is back.
func TestAHostileEndpoint(t *testing.T) {
	needRoot(t)
	haproxy, err := net.Listen("tcp", "127.0.0.1:0") // as far as the tcp check can tell
	must(t, err)
	t.Cleanup(func() { _ = haproxy.Close() })
	genuine, calls := emulator(t)
	target, err := url.Parse(genuine)
	must(t, err)
	var hostile atomic.Bool
	var answers atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hostile.Load() {
			answerWithHarm(w, r, int(answers.Add(1)))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(endpoint.Close)
	port := freePort(t)
	var members []*member
	for i, name := range []string{"node-a", "node-b", "node-c"} {
		members = append(members, startMember(t, name, i+1, port, endpoint.URL, haproxy.Addr().String(), patientRaft))
	}
	witness := members[2]
	waitLong(t, "an agreed holder and another candidate", func() bool {
		s, err := witness.status()
		return err == nil && s.Held() && s.Leader == s.Holder && candidates(s) == 2
	})
	settled, err := witness.status()
	must(t, err)
	made, before := calls(), members[0].peakMemory()

	hostile.Store(true)
	waitLong(t, "candidates that say that EC2 is out of reach", func() bool {
		s, err := witness.status()
		return err == nil && candidates(s) == 0
	})
	members[0].expectSlim(before)
	out, err := members[0].hacluster("status")
	if err != nil || strings.ContainsAny(out, "\x1b\u009b") || len(out) > 16<<10 {
		t.Errorf("status: %v, %d bytes: %.500q", err, len(out), out)
	}
	hostile.Store(false)
	waitLong(t, "candidates that reach EC2 again", func() bool {
		s, err := witness.status()
		return err == nil && candidates(s) == 2 && s.Held()
	})
	s, err := witness.status()
	if err != nil || s.Holder != settled.Holder || calls() != made {
		t.Errorf("%s holds after %s, %d calls after %d, %v", s.Holder, settled.Holder, calls(), made, err)
	}
	if answers.Load() < 4 {
		t.Errorf("only %d hostile answers: not all kinds were given", answers.Load())
	}
	for _, m := range members {
		must(t, m.cmd.Process.Signal(syscall.SIGTERM))
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("%s after SIGTERM: %v", m.name, err)
		}
		if n := m.log.Len(); n > 128<<10 {
			t.Errorf("%s logged %d bytes", m.name, n)
		}
		if bytes.ContainsAny(m.log.Bytes(), "\x1b\u009b") {
			t.Errorf("%s logged a terminal escape", m.name)
		}
	}
}

// patientRaft keeps a busy machine from having an election, which moves the address, where a test is about something else.
const patientRaft = "raft: {heartbeat_timeout: 5s, election_timeout: 5s, leader_lease_timeout: 5s, evidence_max_age: 2s, hints: false}"

// answerWithHarm gives one kind of hostile answer after another.
func answerWithHarm(w http.ResponseWriter, r *http.Request, number int) {
	const item = "<DescribeAddressesResponse><addressesSet><item><allocationId>" + allocation + "</allocationId>" +
		"<associationId>%s</associationId></item></addressesSet></DescribeAddressesResponse>"
	w.Header().Set("Content-Type", "text/xml")
	switch number % 4 {
	case 0:
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("<x>", 64<<10)); err != nil {
				return
			}
		}
	case 1:
		_, _ = fmt.Fprintf(w, item, "eipassoc-"+strings.Repeat("0", 900<<10))
	case 2:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Response><Errors><Error><Code>Odd</Code><Message>"+strings.Repeat("&#x9b;31m", 60<<10)+
			"</Message></Error></Errors></Response>")
	case 3:
		_, _ = fmt.Fprintf(w, item, "&#x9b;2J")
	}
}

// waitLong is waitFor for what takes several reads of EC2.
func waitLong(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within 90 s", what)
		}
	}
}
