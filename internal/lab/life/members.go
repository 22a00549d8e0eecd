package life

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/internal/lab"
)

// member is what is read of one line of 'hacluster members -o json'.
type member struct {
	Name        string `json:"name"`
	Standing    string `json:"standing"`
	Incarnation string `json:"incarnation"`
}

func (p *play) members(ctx context.Context, n *lab.Node) ([]member, error) {
	out, err := n.Command(ctx, "members", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Members []member `json:"members"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("read the members on %s: %w", n.Name, err)
	}
	return list.Members, nil
}

// incarnation returns that of a voter.
func (p *play) incarnation(ctx context.Context, at *lab.Node, name string) (string, error) {
	all, err := p.members(ctx, at)
	for _, m := range all {
		if m.Name == name && m.Standing == "voter" {
			return m.Incarnation, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%s is no voter: %v", name, all)
	}
	return "", err
}

// whole waits until these nodes, and no others, are the voters, and all of them agree on who leads and holds; it returns the holder.
func (p *play) whole(ctx context.Context, voters ...string) (*lab.Node, error) {
	status, err := p.lab.AwaitSteady(ctx, patience)
	if err != nil {
		return nil, err
	}
	holder := p.lab.Node(status.Holder)
	slices.Sort(voters)
	err = p.until(ctx, func(ctx context.Context) error {
		all, err := p.members(ctx, holder)
		if err != nil {
			return err
		}
		var found []string
		for _, m := range all {
			if m.Standing == "voter" {
				found = append(found, m.Name)
			}
		}
		if slices.Sort(found); !slices.Equal(found, voters) {
			return fmt.Errorf("the voters are %v, want %v", found, voters)
		}
		return nil
	})
	return holder, err
}

// voting waits until a node votes, as 'hacluster status' there says it.
func (p *play) voting(ctx context.Context, n *lab.Node) error {
	return p.until(ctx, func(ctx context.Context) error {
		s, err := n.Status(ctx)
		if err == nil && s.Phase != lab.PhaseRunning {
			err = fmt.Errorf("raft on %s: %s", n.Name, s.Phase)
		}
		return err
	})
}

// current returns the nodes that are counted on, and their names.
func (p *play) current() (all []*lab.Node, names []string) {
	for _, n := range p.lab.Nodes() {
		if !n.Spare {
			all, names = append(all, n), append(names, n.Name)
		}
	}
	return all, names
}

// besides returns the nodes that are counted on, without one of them.
func (p *play) besides(one *lab.Node) []*lab.Node {
	all, _ := p.current()
	return slices.DeleteFunc(all, func(n *lab.Node) bool { return n == one })
}

// holder waits until all agree and 'hacluster status' finds nothing wrong, and returns who holds.
func (p *play) holder(ctx context.Context) (*lab.Node, error) {
	_, names := p.current()
	holder, err := p.whole(ctx, names...)
	if err != nil {
		return nil, err
	}
	return holder, p.until(ctx, func(ctx context.Context) error { return well(ctx, holder) })
}

// well returns an error if the status of a node asks for attention.
func well(ctx context.Context, n *lab.Node) error {
	out, err := n.Command(ctx, "status", "-o", "json")
	if err != nil {
		return err
	}
	var status struct {
		Verdict struct {
			Grade string `json:"grade"`
			Lose  string `json:"lose"`
			Wrong []struct {
				Text string `json:"text"`
			} `json:"wrong"`
		} `json:"verdict"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return fmt.Errorf("read the verdict on %s: %w", n.Name, err)
	}
	if v := status.Verdict; v.Grade != "good" {
		return fmt.Errorf("%s finds things %s: safe to lose a node? %s; %v", n.Name, v.Grade, v.Lose, v.Wrong)
	}
	return nil
}

// certify makes certificates at the desk and carries them to the nodes.
func (p *play) certify(ctx context.Context, authority, suffix string, names ...string) error {
	create := each(names, "hacluster tls cert create --node $n --ca "+authority+" --out $n"+suffix)
	if err := p.atDesk(ctx, create, nothing); err != nil {
		return err
	}
	return p.carry(ctx, "$n"+suffix+"/*", names...)
}

// carry copies files from the desk to /etc/hacluster/tls of nodes. They may name the node as $n.
func (p *play) carry(ctx context.Context, from string, names ...string) error {
	to := p.dir + "/$n/" + certificates
	return p.copied(ctx, each(names, "scp "+from+" root@$n:"+tlsDir+"/"),
		each(names, "install -d -m 0700 "+to+"; cp --preserve=mode "+from+" "+to+"/"))
}

// each is a command line for each of the names, which it calls $n.
func each(names []string, command string) string {
	if len(names) == 1 {
		return strings.ReplaceAll(command, "$n", names[0])
	}
	return "for n in " + strings.Join(names, " ") + "; do " + command + "; done"
}
