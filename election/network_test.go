package election

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/sim/simnet"
)

// onHost is a Network over a simulated host.
type onHost struct{ *simnet.Host }

func (h onHost) Dial(ctx context.Context, address string) (net.Conn, error) {
	return h.Host.Dial(ctx, address)
}

// TestNetworkOfConfig: a whole cluster forms in a bubble, on a network and a clock of the configuration. Anything that went round
// them would wait for the real ones, and the bubble's time would stand still.
func TestNetworkOfConfig(t *testing.T) {
	var dirs []string
	for range 3 {
		dirs = append(dirs, t.TempDir())
	}
	synctest.Test(t, func(t *testing.T) {
		network, began := simnet.New(rand.New(rand.NewPCG(1, 2))), time.Now()
		peers := []Peer{{Name: "node-a", Address: "10.0.0.1:7946"}, {Name: "node-b", Address: "10.0.0.2:7946"}, {Name: "node-c", Address: "10.0.0.3:7946"}}
		ctx, cancel := context.WithCancel(context.Background())
		var nodes []*Node
		ended := make(chan error, len(peers))
		for i, host := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			n, err := Open(Config{Cluster: "test", Name: peers[i].Name, DataDir: dirs[i], Peers: peers, Network: onHost{network.Boot(host)},
				Now: func() time.Duration { return time.Since(began) }}, &ledger{})
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, n)
			go func() { ended <- n.Run(ctx) }()
		}
		time.Sleep(10 * time.Second)
		for _, n := range nodes {
			if s := n.Status(); s.Leader == "" || len(s.Voters) != len(peers) {
				t.Errorf("%s knows leader %q and voters %v after 10 s", n.cfg.Name, s.Leader, s.Voters)
			}
		}
		cancel()
		for range nodes {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestAJoinerThatGaveUpIsNotServed: it may wait for the one before it longer than its caller does.
func TestAJoinerThatGaveUpIsNotServed(t *testing.T) {
	n := newNode(Config{Name: "node-a"}.withDefaults(), &ledger{})
	n.admission.turn <- struct{}{} // somebody is being served
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := n.admit(ctx, nil, joinRequest{Node: "node-b"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("admit = %v, want that the caller has gone", err)
	}
}
