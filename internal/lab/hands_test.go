package lab

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hacluster/hacluster/internal/lab/capture"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
	"github.com/hacluster/hacluster/internal/lab/vnet"
)

// What package chaos works with: five nodes without agents, each with a disk of its own, and everything written down.
func TestHands(t *testing.T) {
	sandboxtest.Need(t)
	const disk = 1 << 20
	opts := Options{Dir: t.TempDir(), Nodes: 5, Disk: disk, Record: true}
	err := Run(t.Context(), opts, func(ctx context.Context, l *Lab) error {
		t.Run("single paths are severed", func(t *testing.T) { testSever(t, l) })
		t.Run("a cable is pulled and plugged in again", func(t *testing.T) { testUnplug(t, l) })
		t.Run("a disk is full", func(t *testing.T) { testFull(t, l, disk) })
		t.Run("a person moves the address", func(t *testing.T) { testByHand(ctx, t, l) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	requests, err := os.ReadFile(filepath.Join(opts.Dir, RequestsFile))
	if err != nil || bytes.Count(requests, []byte("\n")) < 10 {
		t.Errorf("%d requests are written down, %v", bytes.Count(requests, []byte("\n")), err)
	}
	packets, err := os.Open(filepath.Join(opts.Dir, PacketsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	if _, err := capture.ReadPCAP(packets); err != nil {
		t.Error(err)
	}
}

func testSever(t *testing.T, l *Lab) {
	a, b, c := l.nodes[0], l.nodes[1], l.nodes[2]
	ec2 := netip.MustParsePrefix(ec2Address).Addr()
	paths := map[string]struct {
		severed []vnet.Path
		cut     bool // between a and b: a connection needs both ways
		noEC2   bool // for a
	}{
		"one way":       {severed: []vnet.Path{{From: a.Name, To: b.Name}}, cut: true},
		"the other way": {severed: []vnet.Path{{From: b.Name, To: a.Name}}, cut: true},
		"to EC2":        {severed: []vnet.Path{EC2Path(a.Name)}, noEC2: true},
		"none":          {},
	}
	for name, test := range paths {
		if err := l.Sever(test.severed); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			wantPath(t, a, b.Address.Addr(), !test.cut)
			wantPath(t, a, ec2, !test.noEC2)
			wantReached(t, a, c.Address.Addr()) // nothing else is cut
			wantReached(t, b, ec2)
			wantReached(t, a, webSites()[0].Address.Addr())
		})
	}
	if err := l.Sever(nil); err != nil {
		t.Fatal(err)
	}
}

func wantPath(t *testing.T, from *Node, to netip.Addr, open bool) {
	t.Helper()
	if open {
		wantReached(t, from, to)
	} else if reaches(t, from, to) {
		t.Errorf("%s reaches %v", from.Name, to)
	}
}

func testUnplug(t *testing.T, l *Lab) {
	a, b := l.nodes[0], l.nodes[1]
	if err := l.Unplug(a.Name); err != nil {
		t.Fatal(err)
	}
	if reaches(t, b, a.Address.Addr()) {
		t.Error("a node without a link answers")
	}
	if err := l.Plug(a.Name); err != nil {
		t.Fatal(err)
	}
	wantReached(t, b, a.Address.Addr())
	wantReached(t, a, netip.MustParsePrefix(ec2Address).Addr())
}

func testFull(t *testing.T, l *Lab, size int) {
	a, b := l.nodes[0], l.nodes[1]
	data := make([]byte, size+1)
	if err := os.WriteFile(filepath.Join(a.DataDir(), "ballast"), data, 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("more fits on the disk than its size: %v", err)
	}
	if err := os.WriteFile(filepath.Join(b.DataDir(), "file"), data[:size/2], 0o600); err != nil {
		t.Errorf("another node's disk is full, too: %v", err)
	}
}

func testByHand(ctx context.Context, t *testing.T, l *Lab) {
	since := time.Now()
	if err := l.MoveByHand(ctx, "node-e"); err != nil {
		t.Fatal(err)
	}
	if holder := l.Holder(); holder != "node-e" {
		t.Errorf("the address is with %q", holder)
	}
	servedBy(t, l, "node-e")
	if err := l.FreeByHand(ctx); err != nil {
		t.Fatal(err)
	}
	if holder := l.Holder(); holder != "" {
		t.Errorf("the address is with %q", holder)
	}
	for _, call := range l.cloud.callsBetween(since, time.Now()) {
		if call.Node != "" {
			t.Errorf("a person's call counts as one of %s", call.Node)
		}
	}
}
