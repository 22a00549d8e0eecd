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
	"syscall"
	"time"

	"github.com/hacluster/hacluster/election"
	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

const (
	statusPath   = "/v1/status"
	transferPath = "/v1/transfer"

	readTimeout = 5 * time.Second
	maxRequest  = 4 << 10 // bytes
)

// Controller is what the socket needs of the controller.
type Controller interface {
	View() *controller.View
	Traffic() *controller.Traffic
	RequestTransfer(ctx context.Context, to fsm.NodeName) (controller.TransferAnswer, error)
}

// RaftStatus is what the socket needs of the Raft node.
type RaftStatus interface{ Status() election.Status }

// Server serves one agent's control socket.
type Server struct {
	id       Identity
	ctl      Controller
	raft     RaftStatus
	listener net.Listener
	// certificate is nil without TLS.
	certificate func() Certificate
}

// Listen opens the socket for the agent's user and for the members of group, a name or a number; empty: the group that the agent runs as. A
// socket left by a crashed agent is replaced; one that answers is an error.
func Listen(ctx context.Context, path, group string) (net.Listener, error) {
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create the directory of admin.socket: %w", err)
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

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, s.status)
	mux.HandleFunc("POST "+transferPath, s.transfer)
	server := &http.Server{Handler: mux, ReadTimeout: readTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin.socket: %w", err)
	}
	return nil
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	status := describe(s.id, s.ctl.View(), s.ctl.Traffic(), s.raft.Status())
	if s.certificate != nil {
		c := s.certificate()
		c.DaysLeft = int(math.Floor(time.Until(c.NotAfter).Hours() / 24))
		status.Certificate = &c
	}
	answer(w, status)
}

func (s *Server) transfer(w http.ResponseWriter, r *http.Request) {
	var in transferRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
		http.Error(w, fmt.Sprintf("read request: %v", err), http.StatusBadRequest)
		return
	}
	out, err := s.ctl.RequestTransfer(r.Context(), fsm.NodeName(in.To))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, out)
}

type transferRequest struct {
	To string `json:"to,omitempty"`
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// A client that is gone is not an error of this agent.
	_ = json.NewEncoder(w).Encode(v)
}
