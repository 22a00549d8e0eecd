package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/internal/discovery"
)

// Sighting is what a look for the nodes came to, where the configuration names a tag in their place.
type Sighting struct {
	// Place is this node's, by what EC2 shows now or else by what its agent found last. Without Self, the nodes are not known.
	Place discovery.Place

	self, owner string           // this instance, and the one that the data directory belongs to; empty: not known
	nodes       []discovery.Node // with the tag
	unfit       []string
	err         error // EC2 does not say who has the tag
}

// Sight looks for the nodes. Its scout may lack a Finder for the reason err; what the agent found last is looked up all the same.
func Sight(ctx context.Context, scout discovery.Scout, err error) Sighting {
	s := Sighting{err: err}
	known, recallErr := scout.Recall()
	if recallErr == nil {
		s.owner, s.Place = known.Self, known
	}
	if s.err != nil {
		return s
	}
	self, selfErr := scout.Self(ctx)
	if selfErr == nil {
		s.self = self
	}
	instances, err := scout.Finder.Find(ctx)
	if err != nil {
		s.err = err
		return s
	}
	s.nodes, s.unfit = scout.Layout.Nodes(instances)
	if s.shows(s.self) {
		s.Place = discovery.Place{Self: s.self, Nodes: s.nodes}
	}
	return s
}

func (s *Sighting) shows(name string) bool {
	return slices.ContainsFunc(s.nodes, func(n discovery.Node) bool { return n.Name == name })
}

// examineDiscovery judges what was found before the examination began.
func (f *facts) examineDiscovery(context.Context) []Finding {
	s, cfg := f.cfg.Sighting, f.cfg.File.Discovery
	switch {
	case s == nil || cfg == nil:
		return []Finding{skip("the configuration names the nodes")}
	case eip.MeansPermission(s.err):
		return []Finding{explained(s.err).about("ec2:DescribeInstances")}
	case s.err != nil:
		text, _ := eip.Explain(s.err)
		return []Finding{skip("not known (imds, ec2, credentials): %s", text)}
	}
	key, value := cfg.TagParts()
	remedy := fmt.Sprintf("aws ec2 create-tags --resources %s --tags 'Key=%s,Value=%s'", s.self, key, value)
	if strings.HasPrefix(key, "aws:") {
		remedy = "let the Auto Scaling group start it, or attach it to the group: nobody else can set this tag"
	}
	var found []Finding
	switch {
	case s.self == "":
		found = append(found, skip("which of the instances this one is, is not known (imds)"))
	case slices.Contains(s.unfit, s.self):
		found = append(found, fail(fmt.Sprintf("this instance, %s, has no private address in %v", s.self, cfg.VRRP), "correct discovery.vrrp, or assign one"))
	case !s.shows(s.self):
		found = append(found, fail(fmt.Sprintf("this instance, %s, does not have the tag %s", s.self, cfg.Tag), remedy))
	case s.owner != "" && s.owner != s.self:
		found = append(found, fail(fmt.Sprintf("%s belongs to instance %s, and this is %s: the agent does not start with a copy of a disk", f.cfg.File.DataDir, s.owner,
			s.self), "move the directory away"))
	}
	return append(found, f.judgeNumber(s, cfg.Tag, cfg.Expect))
}

// judgeNumber: how many there are matters once, to a cluster that has not begun.
func (f *facts) judgeNumber(s *Sighting, tag string, expect int) Finding {
	var names []string
	for _, n := range s.nodes {
		names = append(names, n.Name)
	}
	text := fmt.Sprintf("the tag %s shows the nodes [%s]", tag, strings.Join(names, ", "))
	agent, err := f.agent()
	switch {
	case err == nil && agent.Leader != "":
		return pass("%s; the cluster has begun, and follows them", text)
	case len(s.nodes) == expect:
		return pass("%s, as many as a new cluster waits for", text)
	}
	return warn(fmt.Sprintf("%s: a new cluster waits for %d, no more and no fewer; one that has begun may have another number", text, expect),
		"start the missing ones, give them the tag, or take it from those that are none; or correct discovery.expect")
}

// unknownSelf says why nothing is known of this node and the others, if that is so.
func (f *facts) unknownSelf() *Finding {
	if f.cfg.File.Discovery == nil || f.cfg.File.Self().Address.IsValid() {
		return nil
	}
	unknown := skip("not known: what this node is, EC2 does not say (discovery)")
	return &unknown
}
