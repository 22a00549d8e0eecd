package life

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/hacluster/hacluster/internal/lab"
)

// What a node keeps of the old authority, to come with it once more.
const (
	oldTLS    = "old-" + certificates
	oldConfig = "old.yaml"
)

// taken is what an agent logs when it uses other certificate files than before.
const taken = "read the certificate files anew"

// rotate is "Replacing the authority" of docs/TLS.md.
func rotate(ctx context.Context, p *play) error {
	all, names := p.current()
	last := all[len(all)-1]
	if _, err := p.shell(ctx, "cp -a "+last.File(certificates)+" "+last.File(oldTLS)); err != nil {
		return err
	}
	steps := []struct {
		make        string
		carry       string
		authorities int // that are trusted then
	}{
		{"hacluster tls ca create --cluster lab --out new-ca; cat ca/ca.crt new-ca/ca.crt > ca.crt", "ca.crt", 2},
		{each(names, "hacluster tls cert create --node $n --ca new-ca --out $n-renewed"), "$n-renewed/node.*", 2},
		{"", "new-ca/ca.crt", 1},
	}
	for _, s := range steps {
		before, err := logged(all)
		if err != nil {
			return err
		}
		if s.make != "" {
			if err := p.atDesk(ctx, s.make, nothing); err != nil {
				return err
			}
		}
		if err := p.carry(ctx, s.carry, names...); err != nil {
			return err
		}
		if err := p.reread(ctx, all, before, s.authorities); err != nil {
			return err
		}
	}
	if _, err := p.holder(ctx); err != nil {
		return err
	}
	if _, err := p.on(ctx, last, "hacluster tls show "+tlsDir+"/node.crt", everything); err != nil {
		return err
	}
	return p.comesWithOld(ctx, last)
}

// reread saves the minute until the agents look at their files, and waits until each has taken what is there now.
func (p *play) reread(ctx context.Context, all []*lab.Node, before []string, authorities int) error {
	var names []string
	for _, n := range all {
		names = append(names, n.Name)
		if _, err := n.Command(ctx, "reload"); err != nil {
			return err
		}
	}
	p.typed(deskPrompt, each(names, "ssh root@$n hacluster reload"), "", nothing)
	count := fmt.Sprintf(`"authorities":%d,`, authorities)
	return p.until(ctx, func(context.Context) error {
		now, err := logged(all)
		if err != nil {
			return err
		}
		for i, text := range now {
			if !anyLine(text[len(before[i]):], taken, count) {
				return fmt.Errorf("%s has not taken %d authorities", names[i], authorities)
			}
		}
		return nil
	})
}

// anyLine reports whether a line of the text has all the words.
func anyLine(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		has := true
		for _, w := range words {
			has = has && strings.Contains(line, w)
		}
		if has {
			return true
		}
	}
	return false
}

// comesWithOld lets a node come with its old certificate once more: nobody trusts the authority any more that made it.
func (p *play) comesWithOld(ctx context.Context, n *lab.Node) error {
	// It trusts both, or it would be the one to refuse.
	if _, err := p.shell(ctx, "cp ca.crt "+n.File(oldTLS)); err != nil {
		return err
	}
	config, err := os.ReadFile(n.File(configName))
	if err == nil {
		old := strings.ReplaceAll(string(config), n.File(certificates), n.File(oldTLS))
		err = os.WriteFile(n.File(oldConfig), []byte(old), 0o600)
	}
	if err != nil {
		return fmt.Errorf("configure %s with its old certificate: %w", n.Name, err)
	}
	via := p.besides(n)[0]
	before, err := wrongAuthority(ctx, via)
	if err != nil {
		return err
	}
	p.happens("%s comes with its old certificate once more", n.Name)
	command := fmt.Sprintf("hacluster join --via %v:7400 --config %s/%s", via.Address.Addr(), etc, oldConfig)
	if err := p.refused(ctx, n, command, "join via"); err != nil {
		return err
	}
	return p.until(ctx, func(ctx context.Context) error {
		after, err := wrongAuthority(ctx, via)
		if err == nil && after <= before {
			err = fmt.Errorf("%s has refused %d connections for a wrong authority, and %d before", via.Name, after, before)
		}
		return err
	})
}

// wrongAuthority returns how many connections a node refused or cut because of who signed the certificate.
func wrongAuthority(ctx context.Context, n *lab.Node) (int, error) {
	out, err := n.Command(ctx, "status", "-o", "json")
	if err != nil {
		return 0, err
	}
	var status struct {
		Refusals map[string]int `json:"refusals"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return 0, fmt.Errorf("read the refusals of %s: %w", n.Name, err)
	}
	return status.Refusals["wrong_ca"], nil
}
