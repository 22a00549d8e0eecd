package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/hacluster/hacluster/eip"
)

const (
	clockWarn = 30 * time.Second
	// clockFail is what signatures may be off at most ("in most cases" five minutes: IAM user guide, elements of a request signature).
	clockFail = 5 * time.Minute
	// expiresSoon: IMDS has new credentials at least this long before the old ones end (EC2 user guide, security credentials).
	expiresSoon = 5 * time.Minute
)

func (f *facts) examineIMDS(context.Context) Finding {
	err := f.token()
	if err == nil {
		md, err := f.metadata()
		if err != nil {
			return fail(err.Error(), "look at the metadata options of the instance, and at what filters 169.254.169.254")
		}
		return pass("version 2 answers: %s in %s", md.InstanceID, md.Region)
	}
	text, remedy := explainToken(err)
	if aws := f.cfg.File.AWS; aws.Region != "" && aws.NetworkInterfaceID != "" && aws.PrivateIP.IsValid() {
		if _, err := f.credentials(); err == nil {
			return warn(text+"; it is not needed, as aws: says everything and the credentials come from elsewhere", remedy)
		}
	}
	return fail(text, remedy)
}

func explainToken(err error) (text, remedy string) {
	switch {
	case errors.Is(err, eip.ErrMetadataSilent):
		return "it takes the connection, but no answer with a token comes: most likely the hop limit, which ends that answer on its way into a container",
			"aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2, or run the agent in the host's network"
	case errors.Is(err, eip.ErrMetadataRefused):
		return err.Error(), "enable it: aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled --http-tokens required"
	default:
		return err.Error(), "is this an EC2 instance? Then a firewall or a route keeps 169.254.169.254 away; elsewhere set aws.region, " +
			"aws.network_interface_id and aws.private_ip, and give credentials in the AWS_* environment"
	}
}

func (f *facts) examineCredentials(context.Context) Finding {
	creds, err := f.credentials()
	if errors.Is(err, errNoMetadata) {
		return skip("not known: %v", err)
	}
	if err != nil {
		return explained(err)
	}
	text := fmt.Sprintf("%s from %s", creds.AccessKeyID, creds.Source)
	const renew = "look at the role of the instance profile: IMDS hands out what it could renew last; in the AWS_* environment, renew them"
	_, refusal := f.address()
	left := time.Until(creds.Expires)
	switch {
	case creds.Expires.IsZero() && !meansCredentials(refusal):
		return pass("%s do not expire", text)
	case !creds.Expires.IsZero() && left <= 0:
		return fail(fmt.Sprintf("%s expired at %s", text, creds.Expires.UTC().Format(time.DateTime)), renew)
	case meansCredentials(refusal) || eip.MeansClock(refusal) && f.clockOffset().Abs() < clockWarn:
		return explained(refusal)
	case left < expiresSoon:
		return warn(fmt.Sprintf("%s expire in %v, and there are no newer ones", text, left.Round(time.Second)), renew)
	}
	return pass("%s, good until %s at least", text, creds.Expires.UTC().Format(time.DateTime))
}

// meansCredentials reports whether EC2 refuses who asks, whatever is asked.
func meansCredentials(err error) bool {
	return eip.Classify(err) == eip.Denied && !eip.MeansPermission(err) && !eip.MeansAddress(err)
}

// explained makes a failure of an error of package eip.
func explained(err error) Finding {
	text, remedy := eip.Explain(err)
	return fail(text, remedy)
}

func (f *facts) examineEC2(context.Context) Finding {
	_, err := f.address()
	client, clientErr := f.client()
	if clientErr != nil {
		return skip("not known: %v", clientErr)
	}
	contact, ok := client.Contact()
	if !ok {
		if _, err := f.credentials(); err != nil {
			return skip("not known: nothing can be asked without credentials")
		}
		return explained(err)
	}
	took := contact.Answered.Sub(contact.Sent)
	text := fmt.Sprintf("%s answers within %v", contact.Remote, short(took))
	if limit := f.cfg.File.EIP.AttemptTimeout; took > limit/2 {
		return warn(fmt.Sprintf("%s, with eip.attempt_timeout %v", text, limit), "use an interface endpoint in this zone, or raise eip.attempt_timeout")
	}
	if eip.Classify(err) == eip.Throttled {
		return warn(text+", and throttles", "see docs/SCALE.md: other callers of this account use up the quota")
	}
	return pass("%s", text)
}

// examineWayOut judges whether the way to EC2 survives the loss of the Elastic IP, and its absence before it is taken.
func (f *facts) examineWayOut(context.Context) Finding {
	client, err := f.client()
	if err != nil {
		return skip("not known: %v", err)
	}
	details, _ := f.address()
	contact, ok := client.Contact()
	if !ok {
		return skip("not known: EC2 was not reached")
	}
	remote := contact.Remote.Addr()
	switch {
	case contact.Proxied:
		return pass("EC2 is asked by the proxy %s", contact.Remote)
	case !remote.IsValid() || remote.IsPrivate() || remote.IsLoopback() || remote.IsLinkLocalUnicast():
		return pass("%s is a private address: the Elastic IP is not part of the way", remote)
	case remote.Is6():
		return pass("EC2 is reached over IPv6: the Elastic IP is not part of the way")
	}
	md, err := f.metadata()
	if err != nil {
		return skip("%s is public, and what address this node goes out by is not known: %v", remote, err)
	}
	return f.judgeWayOut(remote, details.PublicIP, f.publicOfTarget(md))
}

// judgeWayOut is about a public endpoint: own is the public address of this node's target, invalid if it has none.
func (f *facts) judgeWayOut(remote, elastic, own netip.Addr) Finding {
	const remedy = "make an interface endpoint of EC2 with private DNS in this zone (docs/AWS.md)"
	switch {
	case !own.IsValid():
		return pass("%s is reached although this node has no public address", remote)
	case own == elastic:
		return warn(fmt.Sprintf("EC2 (%s) is public, and the only public address here is the Elastic IP: after losing it this node cannot call EC2 "+
			"any more, so it cannot take it back", remote), remedy)
	default:
		return warn(fmt.Sprintf("EC2 (%s) is reached by the public address %s, which the Elastic IP replaces; whether AWS gives out another after that "+
			"is not known", remote, own), remedy)
	}
}

// publicOfTarget returns the public address of this node's target as IMDS has it.
func (f *facts) publicOfTarget(md eip.Metadata) netip.Addr {
	t, err := f.target()
	if err != nil {
		return netip.Addr{}
	}
	for _, i := range md.Interfaces {
		if i.ENI == t.ENI {
			return i.Public[t.PrivateIP]
		}
	}
	return netip.Addr{}
}

// clockOffset is 0 if it is not known.
func (f *facts) clockOffset() time.Duration {
	_, _ = f.address() // what it says is another check's matter
	client, err := f.client()
	if err != nil {
		return 0
	}
	contact, _ := client.Contact()
	return contact.ClockOffset()
}

func (f *facts) examineClock(context.Context) Finding {
	offset := f.clockOffset()
	client, err := f.client()
	if err != nil {
		return skip("not known: %v", err)
	}
	if contact, ok := client.Contact(); !ok || contact.Date.IsZero() {
		return skip("not known: EC2 was not reached, and its clock is what this one is compared with")
	}
	side := "behind"
	if offset > 0 {
		side = "ahead of"
	}
	text := fmt.Sprintf("it is %v %s EC2's", offset.Abs().Round(time.Second), side)
	const remedy = "run chrony with 'server 169.254.169.123 prefer iburst' (Amazon Time Sync Service), and see 'chronyc tracking'"
	switch {
	case offset.Abs() > clockFail:
		return fail(text+": EC2 refuses signatures, and peers may refuse certificates", remedy)
	case offset.Abs() > clockWarn:
		return warn(text, remedy)
	}
	return pass("it agrees with EC2's to the second")
}
