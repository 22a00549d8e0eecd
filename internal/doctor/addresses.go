package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hacluster/hacluster/eip"
)

// What is examined here is examined for each of the Elastic IPs.

const notAnswered = "not known: DescribeAddresses was not answered (ec2, credentials, iam)"

func (f *facts) examineAddresses(context.Context) []Finding {
	if _, err := f.address(); err != nil && !eip.MeansAddress(err) {
		return []Finding{skip(notAnswered)}
	}
	var found []Finding
	for i, id := range f.cfg.File.EIP.IDs() {
		finding := f.judgeAddress(id, f.addresses()[i])
		if len(f.addresses()) > 1 {
			finding = finding.about(id)
		}
		found = append(found, finding)
	}
	return found
}

func (f *facts) judgeAddress(id string, d eip.Inspected) Finding {
	switch {
	case eip.MeansAddress(d.Err):
		return explained(d.Err)
	case d.Err != nil:
		return skip(notAnswered)
	case d.Domain != "" && d.Domain != "vpc":
		return fail(fmt.Sprintf("%s (%s) is not for a VPC but for %q", d.PublicIP, id, d.Domain), "allocate one with --domain vpc, and name it in eip.allocation_id")
	case d.ServiceManaged != "":
		return fail(fmt.Sprintf("%s (%s) belongs to an AWS service (%s), which would not give it up", d.PublicIP, id, d.ServiceManaged),
			"allocate one for the cluster, and name it in eip.allocation_id")
	case d.Free():
		return pass("%s (%s) is allocated and associated with nothing", d.PublicIP, id)
	}
	if node := f.nodeAt(d.PrivateIP); node != "" {
		return pass("%s (%s) is with %s (%s)", d.PublicIP, id, node, d.PrivateIP)
	}
	const remedy = "end that association, or name another address in eip.allocation_id"
	if d.InstanceID == "" {
		return fail(fmt.Sprintf("%s (%s) is with %s, which belongs to no instance: a NAT gateway, a load balancer, or an interface that is attached to nothing",
			d.PublicIP, id, d.ENI), remedy)
	}
	return warn(fmt.Sprintf("%s (%s) is with instance %s (%s), which is no node: the cluster takes it from there, unless eip.drift is respect",
		d.PublicIP, id, d.InstanceID, d.PrivateIP), remedy)
}

func (f *facts) examineInterface(context.Context) []Finding {
	t, err := f.target()
	if err != nil {
		return []Finding{skip("not known: %v", err)}
	}
	remedy := "correct aws.network_interface_id and aws.private_ip, or leave them out: a file for all nodes has none of them"
	if len(f.cfg.File.Self().PrivateIPs) > 0 {
		remedy = fmt.Sprintf("assign it (aws ec2 assign-private-ip-addresses), or correct private_ips of %s", f.cfg.File.Node)
	}
	places := f.places(t)
	var found []Finding
	if t.err != nil { // about the first of them
		found, places = append(found, fail(t.err.Error(), remedy)), places[1:]
	}
	md, err := f.metadata()
	if err != nil {
		return append(found, skip("%s with %s, by the configuration; whether they are this instance's is not known: %v", t.ENI, list(places), err))
	}
	var ours []netip.Addr
	for _, place := range places {
		if !slices.ContainsFunc(md.Interfaces, func(i eip.Interface) bool { return i.ENI == t.ENI && slices.Contains(i.Addresses, place) }) {
			found = append(found, fail(fmt.Sprintf("no network interface of this instance is %s with %s", t.ENI, place), remedy))
			continue
		}
		ours = append(ours, place)
		if local, err := hasAddress(place); err == nil && !local {
			found = append(found, warn(fmt.Sprintf("EC2 leads the Elastic IP to %s, which no interface of this operating system has", place),
				"configure it here (a secondary address is not configured by itself), unless this is a container behind NAT").about("operating system"))
		}
	}
	if len(ours) > 0 {
		found = append([]Finding{pass("%s has %s; its source/destination check may stay on", t.ENI, list(ours))}, found...)
	}
	return found
}

func list(addresses []netip.Addr) string {
	var words []string
	for _, a := range addresses {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

func (f *facts) examineOtherAddress(ctx context.Context) Finding {
	t, err := f.target()
	if err != nil {
		return skip("not known: %v", err)
	}
	if _, err := f.address(); !eip.Answered(err) || meansCredentials(err) || eip.MeansClock(err) {
		return skip("not known: EC2 does not answer this node's questions (ec2, credentials)")
	}
	group, err := f.group()
	if err != nil {
		return skip("not known: %v", err)
	}
	others, err := group.AtTargets(ctx)
	if err != nil {
		return skip(notAnswered)
	}
	var strangers []string
	for _, other := range others {
		if !slices.Contains(f.cfg.File.EIP.IDs(), string(other.AllocationID)) {
			strangers = append(strangers, fmt.Sprintf("%s (%s) is with %s", other.PublicIP, other.AllocationID, other.PrivateIP))
		}
	}
	if len(strangers) > 0 {
		return fail(fmt.Sprintf("another Elastic IP, %s: taking over would displace it", strings.Join(strangers, ", and ")),
			"move it to a secondary private address, or name such a one in aws.private_ip or private_ips")
	}
	return pass("no other Elastic IP is with %s", list(f.places(t)))
}

func (f *facts) examineIAM(ctx context.Context) []Finding {
	_, err := f.address()
	found := judgePermissions("DescribeAddresses", []error{err})
	group, groupErr := f.group()
	if groupErr != nil || !eip.Answered(err) || meansCredentials(err) || eip.MeansClock(err) {
		unknown := skip("not known: EC2 does not answer this node's questions (ec2, credentials)")
		return append(found, unknown.about("ec2:AssociateAddress"), unknown.about("ec2:DisassociateAddress"))
	}
	clients := group.Clients()
	results := make(chan []error, 1)
	go func() {
		results <- tryEach(clients, func(i int, c *eip.Client) error { return c.TryDisassociate(ctx, f.addresses()[i].AssociationID) })
	}()
	associate := tryEach(clients, func(_ int, c *eip.Client) error { return c.TryAssociate(ctx) })
	found = append(found, judgePermissions("AssociateAddress", associate)...)
	return append(found, judgePermissions("DisassociateAddress", <-results)...)
}

// tryEach makes a DryRun for each address: a policy may name some, and not others. EC2 counts them, so the first that is throttled is the last.
func tryEach(clients []*eip.Client, try func(int, *eip.Client) error) []error {
	var errs []error
	for i, c := range clients {
		err := try(i, c)
		errs = append(errs, err)
		if eip.Classify(err) == eip.Throttled {
			break
		}
	}
	return errs
}

// judgePermissions says what is wrong with each, or once that nothing is.
func judgePermissions(action string, errs []error) []Finding {
	var found []Finding
	for _, err := range errs {
		if err != nil {
			found = append(found, judgePermission(err).about("ec2:"+action))
		}
	}
	switch {
	case len(found) > 0:
		return found
	case len(errs) > 1:
		return []Finding{pass("allowed for each of %d addresses", len(errs)).about("ec2:" + action)}
	}
	return []Finding{pass("allowed").about("ec2:" + action)}
}

// judgePermission looks for a refusal by IAM. Everything else that EC2 may say is another check's matter.
func judgePermission(err error) Finding {
	if eip.MeansPermission(err) {
		return explained(err)
	}
	text, _ := eip.Explain(err)
	return skip("not known: %s", text)
}
