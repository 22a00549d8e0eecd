package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"
)

// placeFile remembers in the data dir what was found last: a node that was a member starts without EC2.
const placeFile = "discovered.json"

// ErrMoved ends Scout.Run when other nodes are found than the agent was started with, and it has no place in a cluster yet.
var ErrMoved = errors.New("other instances are found than before")

// Place is a node's place among the instances that were found.
type Place struct {
	Self  string `json:"self"`
	Nodes []Node `json:"nodes"` // this one included, oldest instance first
}

// Scout finds a node's place.
type Scout struct {
	// Self asks who this machine is: its instance id.
	Self   func(ctx context.Context) (string, error)
	Finder Finder
	Layout Layout
	// DataDir is where the place is remembered.
	DataDir string
	// Interval is between two looks as long as there is no place in a cluster.
	Interval time.Duration
	Log      *zap.Logger
}

// patience is how long a node that knows its place tries to look again before it goes by what it knows.
const patience = 5 * time.Second

// Find returns this node's place. A node that has none yet goes on until EC2 shows it, and says what it waits for; one that had one goes by
// that when EC2 does not answer: its vote must not depend on EC2.
func (s Scout) Find(ctx context.Context) (Place, error) {
	known, err := s.Recall()
	switch {
	case err != nil:
		return Place{}, err
	case known.Self != "":
		return s.findAgain(ctx, known)
	}
	said := ""
	for {
		place, err := s.look(ctx)
		if err == nil {
			return place, s.remember(place)
		}
		if text := err.Error(); text != said && ctx.Err() == nil {
			s.Log.Warn("looking for this node's place", zap.Error(err))
			said = text
		}
		select {
		case <-time.After(s.Interval):
		case <-ctx.Done():
			return Place{}, ctx.Err()
		}
	}
}

func (s Scout) findAgain(ctx context.Context, known Place) (Place, error) {
	looking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	place, err := s.look(looking)
	switch {
	case ctx.Err() != nil:
		return Place{}, ctx.Err()
	case place.Self != "" && place.Self != known.Self:
		return Place{}, fmt.Errorf("the data dir %s belongs to instance %s, but this is %s: a copy of a disk must not be started; "+
			"move the directory away", s.DataDir, known.Self, place.Self)
	case err != nil:
		s.Log.Warn("EC2 does not show this node's place; it goes by what it found last", zap.String(keyFound, names(known.Nodes)), zap.Error(err))
		return known, nil
	}
	if !slices.Equal(place.Nodes, known.Nodes) {
		if err := s.remember(place); err != nil { // on a full disk a node votes all the same
			s.Log.Warn("what was found is not kept for a start without EC2", zap.Error(err))
		}
	}
	return place, nil
}

// look reads who this is, and then who else is there. With an error the place has no nodes, and names this one if that is known.
func (s Scout) look(ctx context.Context) (Place, error) {
	self, err := s.Self(ctx)
	if err != nil {
		return Place{}, err
	}
	instances, err := s.Finder.Find(ctx)
	if err != nil {
		return Place{Self: self}, err
	}
	nodes, _ := s.Layout.Nodes(instances)
	if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == self }) {
		return Place{Self: self}, fmt.Errorf("EC2 shows the nodes [%s], and this instance, %s, is not among them: give it the tag", names(nodes), self)
	}
	return Place{Self: self, Nodes: nodes}, nil
}

// Run looks again and again as long as settled is false, and returns ErrMoved when somebody else is found: the agent is then to be started
// with them. It returns nil once settled, or when ctx ends.
func (s Scout) Run(ctx context.Context, place Place, settled func() bool) error {
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if settled() {
			return nil
		}
		now, err := s.look(ctx)
		if err != nil || slices.Equal(now.Nodes, place.Nodes) {
			continue // EC2 was heard of at the start, and is not what keeps this node waiting
		}
		if settled() {
			return nil
		}
		return fmt.Errorf("%w: %s instead of %s", ErrMoved, names(now.Nodes), names(place.Nodes))
	}
}

// Recall returns what was found last; a Place without Self if nothing was.
func (s Scout) Recall() (Place, error) {
	path := filepath.Join(s.DataDir, placeFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Place{}, nil
	}
	if err != nil {
		return Place{}, fmt.Errorf("read what was found last: %w", err)
	}
	var place Place
	if err := json.Unmarshal(data, &place); err != nil {
		s.Log.Warn("what was found last is damaged, and is looked for again", zap.String("file", path), zap.Error(err))
		return Place{}, nil
	}
	return place, nil
}

// remember writes a file that is there whole or not at all. It may be lost with the machine's power: EC2 tells it again.
func (s Scout) remember(place Place) error {
	data, err := json.MarshalIndent(place, "", "  ")
	if err != nil {
		return fmt.Errorf("encode what was found: %w", err)
	}
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return fmt.Errorf("create the data dir: %w", err)
	}
	path := filepath.Join(s.DataDir, placeFile)
	if err := os.WriteFile(path+".tmp", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	return nil
}
