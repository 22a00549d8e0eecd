package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

const (
	statusPath   = "/v1/status"
	transferPath = "/v1/transfer"
	drainPath    = "/v1/drain"
	reloadPath   = "/v1/reload"

	readTimeout = 5 * time.Second
	maxRequest  = 4 << 10 // bytes
	// surveyWithin bounds the question to the leader: an operator waits for the answer.
	surveyWithin = 500 * time.Millisecond
)

// Controller is what the socket needs of the controller.
type Controller interface {
	View() *controller.View
	Traffic() *controller.Traffic
	RequestTransfer(ctx context.Context, to fsm.NodeName) (controller.TransferAnswer, error)
	RequestDrain(ctx context.Context, node fsm.NodeName, drained bool) error
}

// RaftStatus is what the socket needs of the Raft node.
type RaftStatus interface{ Status() election.Status }

// Server serves one agent's control socket.
type Server struct {
	id       Identity
	ctl      Controller
	raft     RaftStatus
	listener net.Listener
	// membership is nil where nobody may change it.
	membership Membership
	// certificate is nil without TLS.
	certificate func() Certificate
	reload      func() (Reloaded, error)
	answering   func(context.Context) ([]fsm.NodeName, error)
	streams     atomic.Int32 // of events, that are open
}

// Listen opens the socket for the agent's user and for the members of group, a name or a number; empty: the group that the agent runs as. A
// socket left by a crashed agent is replaced; one that answers is an error.
func Listen(ctx context.Context, path, group string) (net.Listener, error) {
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the directory of admin.socket: %w", err)
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	// Nobody else may get in before the group is right, so the umask does it.
	old := syscall.Umask(0o177)
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on admin.socket %s: %w", path, err)
	}
	if err := letIn(path, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// checkDir: whoever may write to the directory could put a socket of its own in the place of this one, and answer for the agent.
func checkDir(dir string) error {
	const otherWrite = 0o002
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the directory of admin.socket: %w", err)
	}
	if mode := info.Mode().Perm(); mode&otherWrite != 0 {
		return fmt.Errorf("the directory of admin.socket, %s, has mode %04o, so everybody could answer in the agent's place: "+
			"use one of its own, such as /run/hacluster, or run 'chmod o-w %s'", dir, mode, dir)
	}
	return nil
}

// letIn opens the socket to the group.
func letIn(path, group string) error {
	if group != "" {
		gid, err := groupID(group)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("give admin.socket to group %s; the agent's user must be in it (SupplementaryGroups=%s in its unit): %w", group, group, err)
		}
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return fmt.Errorf("open admin.socket to its group: %w", err)
	}
	return nil
}

func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	found, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("look up admin.group; create it with 'groupadd %s', or name another: %w", group, err)
	}
	return strconv.Atoi(found.Gid)
}

func removeStale(ctx context.Context, path string) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("admin.socket %s answers: another agent runs here; stop it, or give this one its own admin.socket", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return removeSocket(path)
	default:
		return fmt.Errorf("look for an agent at admin.socket %s: %w", path, err)
	}
}

// removeSocket removes what a crashed agent left. The kernel refuses a connection to a plain file in the same words.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at admin.socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("admin.socket %s is there already and is no socket: move it away or name another path", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the admin.socket of a crashed agent: %w", err)
	}
	return nil
}

// NewServer returns a server on l, which it closes in the end.
func NewServer(id Identity, ctl Controller, raft RaftStatus, l net.Listener) *Server {
	return &Server{id: id, ctl: ctl, raft: raft, listener: l}
}

// SetCertificate tells the server of the node's certificate, of which get fills all but DaysLeft. It is called before Run.
func (s *Server) SetCertificate(get func() Certificate) { s.certificate = get }

// SetReload tells the server how the configuration file is read anew. It is called before Run.
func (s *Server) SetReload(reload func() (Reloaded, error)) { s.reload = reload }

// SetAnswering tells the server how to find out which nodes answer the leader. It is called before Run.
func (s *Server) SetAnswering(ask func(context.Context) ([]fsm.NodeName, error)) { s.answering = ask }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, s.status)
	mux.HandleFunc("GET "+historyPath, s.history)
	mux.HandleFunc("GET "+eventsPath, s.events)
	mux.HandleFunc("POST "+transferPath, s.transfer)
	mux.HandleFunc("POST "+drainPath, s.drain)
	mux.HandleFunc("POST "+reloadPath, s.readAnew)
	s.routeMembers(mux)
	server := &http.Server{Handler: mux, ReadTimeout: readTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin.socket: %w", err)
	}
	return nil
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) { answer(w, s.Survey(r.Context())) }

// Survey returns how things are, with the verdict. It asks the leader which nodes answer, and waits for that for a moment only. It may be
// called by several goroutines.
func (s *Server) Survey(ctx context.Context) Status {
	status := s.Status()
	if s.answering != nil {
		ctx, cancel := context.WithTimeout(ctx, surveyWithin)
		defer cancel()
		// A leader that says nothing leaves that unknown, which the verdict says.
		names, _ := s.answering(ctx)
		for _, n := range names {
			status.Answering = append(status.Answering, string(n))
		}
	}
	verdict := Judge(status)
	status.Verdict = &verdict
	return status
}

// Status returns how things are at this moment, without a verdict: nobody is asked. It may be called by several goroutines.
func (s *Server) Status() Status {
	status := describe(s.id, s.ctl.View(), s.ctl.Traffic(), s.raft.Status())
	if s.certificate != nil {
		c := s.certificate()
		c.DaysLeft = int(math.Floor(time.Until(c.NotAfter).Hours() / 24))
		status.Certificate = &c
	}
	return status
}

func (s *Server) transfer(w http.ResponseWriter, r *http.Request) {
	var in transferRequest
	if !read(w, r, &in) {
		return
	}
	out, err := s.ctl.RequestTransfer(r.Context(), fsm.NodeName(in.To))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, out)
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	var in drainRequest
	if !read(w, r, &in) {
		return
	}
	if err := s.ctl.RequestDrain(r.Context(), fsm.NodeName(in.Node), in.Drained); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, struct{}{})
}

func (s *Server) readAnew(w http.ResponseWriter, _ *http.Request) {
	out, err := s.reload()
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, out)
}

// Reloaded says what became of a configuration file that was read anew.
type Reloaded struct {
	// Changed are the keys that the running agent took.
	Changed []string `json:"changed"`
	// Restart are the keys that wait for a restart, and why.
	Restart map[string]string `json:"restart,omitempty"`
}

type transferRequest struct {
	To string `json:"to,omitempty"`
}

type drainRequest struct {
	Node    string `json:"node"`
	Drained bool   `json:"drained"`
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(into); err != nil {
		http.Error(w, fmt.Sprintf("read request: %v", err), http.StatusBadRequest)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// A client that is gone is not an error of this agent.
	_ = json.NewEncoder(w).Encode(v)
}
