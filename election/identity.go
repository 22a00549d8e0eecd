package election

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
)

// The identity lives twice: in the stable store, where it shares the fate of the votes cast under it, and in a marker file
// outside, which remembers that there was a vote to lose. The marker is written before Raft first runs under an incarnation.
//
//	identity  marker     meaning                              what follows
//	--------  ---------  -----------------------------------  --------------------------------------------
//	yes       same       initialised                          resume
//	yes       none       crashed before the marker            resume if the log has been bootstrapped, else fresh
//	yes       different  crashed while coming back            come back under the store's incarnation
//	yes       its past   crashed behind a recovery            resume
//	none      yes        the store is lost (I7)               new incarnation, come back as a new member
//	none      none       a new machine, or a replaced one     new incarnation, fresh: bootstrap or join
const (
	identityKey = "hacluster/identity"
	markerName  = "initialized"
)

// identity says whose data this is.
type identity struct {
	Cluster     string `json:"cluster"`
	Node        string `json:"node"`
	Incarnation string `json:"incarnation"`
	// Generation of the cluster that it belongs to.
	Generation generation `json:"generation,omitempty"`
	// Predecessor is the incarnation that a recovery made this one of.
	Predecessor string `json:"predecessor,omitempty"`
}

// serverID is what Raft calls this node. It contains the incarnation, so that a vote cast by lost data is nobody's.
func (i identity) serverID() raft.ServerID {
	return raft.ServerID(i.Node + "." + i.Incarnation)
}

// recovered reports whether a recovery made this identity of the one in the marker, which is written behind the store.
func (i identity) recovered(marker identity) bool {
	return i.Predecessor == marker.Incarnation && i.Generation.supersedes(marker.Generation)
}

// nodeName is the name in a server id; the incarnation has no dot.
func nodeName(id raft.ServerID) string {
	name := string(id)
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return name[:dot]
	}
	return name
}

// origin is what the data dir says about the node's past.
type origin int

const (
	// fresh: never initialised under this incarnation. It may bootstrap, if all peers are fresh too.
	fresh origin = iota
	// resumed: initialised under this incarnation.
	resumed
	// returning: it was initialised once, and what it knew then is lost. It may join, but never bootstrap.
	returning
)

// identify reads who this node is from the data dir, or gives it a new incarnation, and persists that before anyone is told.
func identify(cfg Config, s *store) (identity, origin, error) {
	own, known, err := readIdentity(cfg, s)
	if err != nil {
		return identity{}, fresh, err
	}
	marker, marked, err := readMarker(cfg)
	if err != nil {
		return identity{}, fresh, err
	}
	switch {
	case known && marked && own == marker:
		return own, resumed, nil
	case known && marked && own.recovered(marker):
		return own, resumed, writeMarker(cfg, own)
	case known && marked:
		return own, returning, refusePutBack(cfg, s)
	case known:
		bootstrapped, err := s.bootstrapped()
		if err != nil || !bootstrapped {
			return own, fresh, err
		}
		return own, resumed, writeMarker(cfg, own)
	case marked:
		cfg.Logger.Warn("the raft store is lost: this node comes back as a new member and gives up its old identity",
			zap.String(keyDataDir, cfg.DataDir), zap.String("lost_incarnation", marker.Incarnation))
		own, err := reincarnate(cfg, s)
		return own, returning, err
	default:
		own, err := reincarnate(cfg, s)
		return own, fresh, err
	}
}

// refusePutBack: a crash while coming back leaves a new incarnation without Raft state beside the old marker. With Raft state it is a
// store of the past that somebody put back, and its votes with it (I7).
func refusePutBack(cfg Config, s *store) error {
	state, err := s.hasRaftState()
	if err != nil || !state {
		return err
	}
	return fmt.Errorf("raft store %s is not the one that this node had last, as if put back from a backup: move the directory %s away, "+
		"leave the file %q beside it, and start the node again; it comes back as a new member", s.path, s.dir, markerName)
}

func readIdentity(cfg Config, s *store) (own identity, known bool, err error) {
	data, known, err := s.get(identityKey)
	if err != nil {
		return identity{}, false, err
	}
	if !known {
		return identity{}, false, nil
	}
	return checkIdentity(cfg, data, s.path)
}

func readMarker(cfg Config) (marker identity, marked bool, err error) {
	path := markerPath(cfg)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return identity{}, false, nil
	case err != nil:
		return identity{}, false, dirError("read", path, err)
	}
	return checkIdentity(cfg, data, path)
}

// checkIdentity refuses the data of another cluster or node: running on it would let two nodes vote under one identity.
func checkIdentity(cfg Config, data []byte, path string) (identity, bool, error) {
	var own identity
	if err := json.Unmarshal(data, &own); err != nil || own.Incarnation == "" {
		return identity{}, false, fmt.Errorf("identity in %s is damaged: stop the node, move %s away and start it again; "+
			"it comes back as a new member", path, cfg.DataDir)
	}
	if own.Cluster != cfg.Cluster || own.Node != cfg.Name {
		return identity{}, false, fmt.Errorf("data dir %s belongs to node %q of cluster %q, but this is node %q of cluster %q: "+
			"correct the configuration, or move the directory away", cfg.DataDir, own.Node, own.Cluster, cfg.Name, cfg.Cluster)
	}
	return own, true, nil
}

// reincarnate makes a new identity in an empty store.
func reincarnate(cfg Config, s *store) (identity, error) {
	foreign, err := s.hasRaftState()
	if err != nil {
		return identity{}, err
	}
	if foreign {
		return identity{}, fmt.Errorf("%s holds a raft log of something other than hacluster: move it away or choose another data dir", s.path)
	}
	own := identity{Cluster: cfg.Cluster, Node: cfg.Name, Incarnation: newIncarnation()}
	return own, writeIdentity(s, own)
}

func newIncarnation() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails.
	return hex.EncodeToString(random[:])
}

func writeIdentity(s *store, own identity) error {
	data, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	if err := s.bolt.Set([]byte(identityKey), data); err != nil {
		return fmt.Errorf("write identity to %s: %w", s.path, err)
	}
	return nil
}

func markerPath(cfg Config) string {
	return filepath.Join(cfg.DataDir, markerName)
}

// writeMarker makes the marker durable: after it returns, no crash undoes it.
func writeMarker(cfg Config, own identity) error {
	data, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("encode marker: %w", err)
	}
	path := markerPath(cfg)
	if err := writeDurably(path, append(data, '\n')); err != nil {
		return dirError("write", path, err)
	}
	return nil
}

// writeDurably replaces the file at path: either the old content or the new one survives a crash, and the new one once it
// has returned.
func writeDurably(path string, data []byte) error {
	temporary := path + ".tmp"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
