package convert

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/internal/keepalived"
	"github.com/hacluster/hacluster/internal/keepalived/script"
)

// address is the Elastic IP and where EC2 is.
type address struct {
	allocation value[string]
	region     value[string]
	endpoint   value[string]
	publicIP   string // to look up the allocation id by; empty if it is not known
}

// found is a value of a script with its place.
type found struct {
	text string
	at   keepalived.Position
}

// placeholder stands for an allocation id that is not known. "hacluster config check" refuses it, and shows it.
const placeholder = "LOOK-UP-THE-ALLOCATION-ID"

// gather returns what the scripts say, each value once, with all places of it.
func (c *converter) gather(of func(script.Notify) []script.Value) []found {
	var all []found
	for _, v := range c.views {
		for _, n := range v.instance.notifies {
			for _, value := range of(n.read) {
				all = append(all, found{text: value.Text, at: n.position(value.Line)})
			}
		}
	}
	return all
}

// arguments returns the allocation ids that a notify command hands to its script.
func (c *converter) arguments() []found {
	var all []found
	for _, v := range c.views {
		for _, n := range v.instance.notifies {
			for _, value := range script.ReadNotify(n.command.Text).Mentioned {
				all = append(all, found{text: value.Text, at: n.at})
			}
		}
	}
	return all
}

// distinct returns the texts, each once.
func distinct(all []found) []string {
	var texts []string
	for _, f := range all {
		if !slices.Contains(texts, f.text) {
			texts = append(texts, f.text)
		}
	}
	return texts
}

// findAddress finds what is moved, and in which region.
func (c *converter) findAddress() {
	c.findAllocation()
	c.findRegion()
	c.findEndpoint()
	c.noteTargets()
}

func (c *converter) findAllocation() {
	e := &c.cluster.eip
	named := c.gather(func(n script.Notify) []script.Value { return n.Allocations })
	mentioned := append(c.arguments(), c.gather(func(n script.Notify) []script.Value { return n.Mentioned })...)
	c.findPublicIP()
	if id := c.request.AllocationID; id != "" {
		e.allocation = value[string]{v: id, at: keepalived.Position{File: "--allocation-id"}}
		for _, f := range mentioned {
			if f.text != id {
				c.report.changed(f.at, f.text, "eip.allocation_id: "+id, "--allocation-id says otherwise")
			}
		}
		return
	}
	switch ids := distinct(mentioned); {
	case len(ids) > 1:
		c.report.refused(mentioned[0].at, strings.Join(ids, ", "), "the scripts name several allocation ids. A cluster moves one Elastic IP: "+
			"say which by --allocation-id")
	case len(ids) == 1 && len(named) > 0:
		e.allocation = said(ids[0], named[0].at)
		for _, f := range named {
			c.report.converted(f.at, "--allocation-id "+f.text, "eip.allocation_id: "+ids[0])
		}
	case len(ids) == 1:
		e.allocation = said(ids[0], mentioned[0].at)
		c.report.changed(mentioned[0].at, ids[0], "eip.allocation_id: "+ids[0],
			"this looks like the address that is moved: it is the only allocation id there, but the call that uses it was not understood. Check it")
	default:
		c.askForAllocation()
	}
}

// findPublicIP finds the address to look the allocation id up by. A public address on an interface is one, too.
func (c *converter) findPublicIP() {
	all := c.gather(func(n script.Notify) []script.Value { return n.PublicIPs })
	if len(all) == 0 {
		for _, v := range c.views {
			for _, virtual := range v.instance.virtual {
				text, _, _ := strings.Cut(virtual.v, "/")
				if ip, err := netip.ParseAddr(text); err == nil && ip.Is4() && ip.IsGlobalUnicast() && !ip.IsPrivate() {
					all = append(all, found{text: text, at: virtual.at})
				}
			}
		}
	}
	switch ips := distinct(all); len(ips) {
	case 0:
	case 1:
		c.cluster.eip.publicIP = ips[0]
		for _, f := range all {
			c.report.changed(f.at, "public address "+f.text, "eip.allocation_id", "EC2 moves addresses in a VPC by their allocation id")
		}
	default:
		c.report.refused(all[0].at, strings.Join(ips, ", "), "the files name several public addresses. A cluster moves one Elastic IP: "+
			"correct the one that is wrong, "+
			"or convert one instance after the other with --instance and the scripts that belong to it")
	}
}

func (c *converter) askForAllocation() {
	e := c.cluster.eip
	what := "Look up the allocation id of " + e.publicIP
	if e.publicIP == "" {
		what = "Find out the allocation id of the Elastic IP: no script that was read names one. If it is in a script that is not beside the configuration, " +
			"give that by --script; else look it up"
	}
	c.report.leaveOpen(what+", and give it by --allocation-id, or write it over "+placeholder+":", lookUp(e.publicIP, c.region()))
}

// lookUp is the command that prints the allocation id of a public address, or those of all.
func lookUp(publicIP, region string) string {
	command := "aws ec2 describe-addresses --query 'Addresses[].[PublicIp,AllocationId]' --output text"
	if publicIP != "" {
		command += " --public-ips " + publicIP
	}
	if region != "" {
		command += " --region " + region
	}
	return command
}

// region returns the only region that the scripts name, or nothing.
func (c *converter) region() string {
	if regions := distinct(c.gather(func(n script.Notify) []script.Value { return n.Regions })); len(regions) == 1 {
		return regions[0]
	}
	return ""
}

func (c *converter) findRegion() {
	all := c.gather(func(n script.Notify) []script.Value { return n.Regions })
	region := c.region()
	for _, f := range all {
		if region == "" {
			c.report.dropped(f.at, "region "+f.text, "the scripts name several regions, so the instance metadata decides: aws.region is left out")
			continue
		}
		c.report.converted(f.at, "region "+f.text, "aws.region: "+f.text)
		c.cluster.eip.region = said(f.text, all[0].at)
	}
}

func (c *converter) findEndpoint() {
	all := c.gather(func(n script.Notify) []script.Value { return n.Endpoints })
	for _, f := range all {
		u, err := url.Parse(f.text)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || len(distinct(all)) > 1 {
			c.report.dropped(f.at, "--endpoint-url", "it is no URL, or not the only one: the SDK decides")
			continue
		}
		c.report.converted(f.at, "--endpoint-url "+f.text, "aws.endpoint: "+f.text)
		c.cluster.eip.endpoint = said(f.text, f.at)
	}
}

// noteTargets is about what belongs to one machine and has no place in a file for all.
func (c *converter) noteTargets() {
	for _, f := range c.gather(func(n script.Notify) []script.Value { return n.Instances }) {
		c.report.dropped(f.at, "--instance-id "+f.text, "each node asks the instance metadata who it is")
	}
	for _, f := range c.gather(func(n script.Notify) []script.Value { return n.Interfaces }) {
		c.report.changed(f.at, "--network-interface-id "+f.text, "", fmt.Sprintf(
			"each node asks the instance metadata for its primary interface. If this is another one, write 'network_interface_id: %s' below "+
				"aws: in the node's own file", f.text))
	}
	for _, f := range c.gather(func(n script.Notify) []script.Value { return n.PrivateIPs }) {
		if slices.ContainsFunc(c.cluster.nodes, func(n node) bool { return n.address.v.String() == f.text }) {
			c.report.dropped(f.at, "--private-ip-address "+f.text, "it is the node's own address, which is the default")
			continue
		}
		c.report.changed(f.at, "--private-ip-address "+f.text, "", fmt.Sprintf(
			"the address is mapped to the primary private address of the interface. If this one is wanted, write 'private_ip: %s' below aws: in "+
				"the node's own file", f.text))
	}
}
