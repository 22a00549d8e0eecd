package tfcheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/hacluster/hacluster/eip"
	"github.com/hacluster/hacluster/eip/ec2fake"
)

// TestPolicyFits: each node's policy allows the calls that are made there, has no action that no call needs, and denies whatever else was
// thought of. Then it is broken in every way of a list, and that must be noticed.
func TestPolicyFits(t *testing.T) {
	everywhere := threeNodes()
	everywhere.DisassociateAnywhere = true
	all := clusters()
	all["from anywhere"] = everywhere
	calls := recordedCalls(t)
	for name, values := range all {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, values)
			for node, text := range rendered.Policies {
				needed := append(moves(calls, values, node), append(fetches(t, rendered, node), agents(values)...)...)
				p, err := ParsePolicy(text)
				if err != nil {
					t.Fatal(err)
				}
				for _, problem := range judge(p, needed, forbidden(values, node)) {
					t.Errorf("%s: %s", node, problem)
				}
				for how, broken := range mutants(t, p) {
					if len(judge(broken, needed, forbidden(values, node))) == 0 {
						t.Errorf("%s: nobody noticed: %s", node, how)
					}
				}
			}
		})
	}
}

// judge says what is wrong with a policy.
func judge(p Policy, needed, forbidden []Request) []string {
	var problems []string
	used := map[string]bool{}
	for _, r := range needed {
		used[r.Action] = true
		if !p.Allows(r) {
			problems = append(problems, fmt.Sprintf("denied: %v", r))
		}
	}
	for _, r := range forbidden {
		if p.Allows(r) {
			problems = append(problems, fmt.Sprintf("allowed: %v", r))
		}
	}
	for _, s := range p.Statements {
		for _, a := range s.Actions {
			if !used[a] {
				problems = append(problems, fmt.Sprintf("statement %s: no call needs %s", s.Sid, a))
			}
		}
	}
	return problems
}

// moves are the EC2 calls of a node as the emulator recorded them; a witness makes none.
func moves(calls []ec2fake.Call, values Values, node string) []Request {
	if values.Nodes[node].Witness {
		return nil
	}
	var requests []Request
	at := map[string]string{} // association id -> interface
	for _, call := range calls {
		r := Request{Action: "ec2:" + call.Action}
		switch call.Action {
		case "DescribeInstances":
			if values.Discovery == nil {
				continue
			}
		case "AssociateAddress":
			eni := call.Parameters["NetworkInterfaceId"]
			at[call.AssociationID] = eni
			r.Resources = []Resource{ourAddress(), ourInterface(eni)}
		case "DisassociateAddress":
			r.Resources = []Resource{ourAddress()}
			if eni := at[call.Parameters["AssociationId"]]; eni != "" {
				r.Resources = append(r.Resources, ourInterface(eni))
			}
		}
		requests = append(requests, r)
	}
	if values.DisassociateAnywhere {
		requests = append(requests, takeFromElsewhere())
	}
	return requests
}

func ourAddress() Resource {
	return Resource{ARN: arn("ec2", "elastic-ip/"+alloc), Tags: map[string]string{"hacluster": "edge"}}
}

func ourInterface(id string) Resource {
	return Resource{ARN: arn("ec2", "network-interface/"+id), Tags: map[string]string{"hacluster": "edge"}}
}

// takeFromElsewhere ends the association that somebody made with an interface of his own.
func takeFromElsewhere() Request {
	foreign := Resource{ARN: arn("ec2", "network-interface/eni-0000000000000ffff")}
	return Request{Action: "ec2:DisassociateAddress", Resources: []Resource{ourAddress(), foreign}}
}

// recordedCalls has two nodes do all that eip can: look, try dry, take, be refused, take away, give back.
func recordedCalls(t *testing.T) []ec2fake.Call {
	t.Helper()
	fake, endpoint := newFake(t)
	first, second := newClient(t, endpoint, 1), newClient(t, endpoint, 2)
	ctx, yes := t.Context(), func() error { return nil }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(first.Preflight(ctx))
	held, err := first.Associate(ctx, false, yes)
	must(err)
	if _, err := second.Associate(ctx, false, yes); eip.Classify(err) != eip.Conflict {
		t.Fatalf("second taker: %v", err)
	}
	must(second.Preflight(ctx))
	must(second.Disassociate(ctx, held, yes))
	_, err = second.Associate(ctx, false, yes)
	must(err)
	_, err = first.Associate(ctx, true, yes)
	must(err)
	_, err = newFinder(t, endpoint).Find(ctx)
	must(err)
	calls := fake.Calls(0)
	checkComplete(t, calls)
	return calls
}

// checkComplete: what was recorded is all that the source knows to call.
func checkComplete(t *testing.T, calls []ec2fake.Call) {
	t.Helper()
	made := map[string]bool{}
	for _, c := range calls {
		made[c.Action] = true
	}
	text, err := os.ReadFile("../../eip/calls.go") // a test of cmd/hacluster finds no other call in the program
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`call\[ec2\.(\w+)Input, `).FindAllSubmatch(text, -1) {
		known[string(m[1])] = true
	}
	if !maps.Equal(made, known) || len(known) == 0 {
		t.Errorf("eip can call %v, recorded were %v", slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(made)))
	}
}

func withoutEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
}

func newClient(t *testing.T, endpoint string, i int) *eip.Client {
	t.Helper()
	withoutEnvironment(t)
	c, err := eip.New(t.Context(), eip.Config{Region: region, Endpoint: endpoint, AllocationID: alloc,
		Target:      eip.Target{ENI: eip.ENI(interfaceID(i)), PrivateIP: nodeAddress(i)},
		Credentials: credentials.NewStaticCredentialsProvider(testKey, testSecret, "")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newFinder(t *testing.T, endpoint string) *eip.Finder {
	t.Helper()
	withoutEnvironment(t)
	f, err := eip.NewFinder(t.Context(), eip.FinderConfig{Region: region, Endpoint: endpoint, Tag: eip.Tag{Key: "hacluster", Value: "edge"},
		Credentials: credentials.NewStaticCredentialsProvider(testKey, testSecret, "")})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const testKey, testSecret = "AKIATEST", "a secret"

func nodeAddress(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.97.%d.11", i)) }

// newFake serves an account with the address and two nodes.
func newFake(t *testing.T) (fake *ec2fake.Server, endpoint string) {
	t.Helper()
	cfg := ec2fake.Config{Region: region, Account: account,
		Addresses:  []ec2fake.AddressSpec{{AllocationID: alloc, PublicIP: netip.MustParseAddr("203.0.113.10")}},
		AccessKeys: []ec2fake.AccessKey{{ID: testKey, Secret: testSecret}}}
	for i := 1; i <= 2; i++ {
		cfg.Instances = append(cfg.Instances, ec2fake.InstanceSpec{ID: fmt.Sprintf("i-%017d", i), ENI: interfaceID(i), PrivateIPs: []netip.Addr{nodeAddress(i)}})
	}
	fake, err := ec2fake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake.EC2())
	t.Cleanup(func() {
		server.Close()
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake, server.URL
}

// fetches are the calls of a node's bootstrap script, as it made them when it was run.
func fetches(t *testing.T, rendered Rendered, node string) []Request {
	t.Helper()
	object := regexp.MustCompile(`^aws s3 cp .* s3://(\S+) `)
	parameter := regexp.MustCompile(`^aws ssm get-parameter .*--name (\S+)`)
	var requests []Request
	for line := range strings.Lines(runBootstrap(t, rendered.Bootstraps[node])) {
		if m := object.FindStringSubmatch(line); m != nil {
			requests = append(requests, on("s3:GetObject", "arn:aws:s3:::"+m[1]))
		} else if m := parameter.FindStringSubmatch(line); m != nil {
			requests = append(requests, on("ssm:GetParameter", arn("ssm", "parameter"+m[1])))
		} else if strings.HasPrefix(line, "aws ") {
			t.Errorf("the bootstrap script makes a call that this test does not know: %s", line)
		}
	}
	return requests
}

// agents are the calls of AWS's own agents, by their documentation: they cannot be run here.
func agents(values Values) []Request {
	var requests []Request
	if values.LogGroup != nil {
		for _, action := range []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"} {
			requests = append(requests, on(action, values.LogGroup.ARN+":log-stream:lb-1/hacluster"))
		}
	}
	if values.ShellAccess {
		for _, action := range []string{"ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"} {
			requests = append(requests, Request{Action: action})
		}
	}
	return requests
}

func on(action string, arns ...string) Request {
	r := Request{Action: action}
	for _, a := range arns {
		r.Resources = append(r.Resources, Resource{ARN: a})
	}
	return r
}

// forbidden is what a node must not be able to do, however it is asked.
func forbidden(values Values, node string) []Request {
	ours := ourInterface(interfaceID(1))
	foreign := ourInterface("eni-0000000000000ffff") // that it has our tag does not make it ours
	otherAddress := Resource{ARN: arn("ec2", "elastic-ip/eipalloc-00000000000000fff"), Tags: map[string]string{"hacluster": "edge"}}
	untagged := func(r Resource) Resource { return Resource{ARN: r.ARN} }
	elsewhere := Resource{ARN: strings.Replace(ourAddress().ARN, region, "us-east-1", 1), Tags: ourAddress().Tags}
	requests := []Request{
		{Action: "ec2:AssociateAddress", Resources: []Resource{otherAddress, ours}},
		{Action: "ec2:AssociateAddress", Resources: []Resource{untagged(ourAddress()), ours}},
		{Action: "ec2:AssociateAddress", Resources: []Resource{ourAddress(), untagged(ours)}},
		{Action: "ec2:AssociateAddress", Resources: []Resource{elsewhere, ours}},
		{Action: "ec2:AssociateAddress", Resources: []Resource{ourAddress(), {ARN: arn("ec2", "instance/i-1"), Tags: ours.Tags}}},
		{Action: "ec2:DisassociateAddress", Resources: []Resource{otherAddress, ours}},
		{Action: "ec2:DisassociateAddress", Resources: []Resource{untagged(ourAddress()), ours}},
		on("s3:GetObject", "arn:aws:s3:::hacluster-edge-1/another"), on("s3:GetObject", "arn:aws:s3:::another/hacluster-1"),
		on("s3:PutObject", "arn:aws:s3:::hacluster-edge-1/hacluster-1"), on("s3:ListBucket", "arn:aws:s3:::hacluster-edge-1"),
		on("ssm:GetParameter", arn("ssm", "parameter/other/edge/"+node+"/key")), on("ssm:GetParameter", arn("ssm", "parameter/hacluster/edge")),
		on("ssm:PutParameter", arn("ssm", "parameter/hacluster/edge/"+node+"/key")),
		on("logs:PutLogEvents", arn("logs", "log-group:/other:log-stream:x")), on("logs:CreateLogStream", arn("logs", "log-group:/other:log-stream:x")),
		on("logs:DescribeLogStreams", arn("logs", "log-group:/other:log-stream:x")),
		on("logs:DeleteLogGroup", arn("logs", "log-group:/hacluster/edge")),
		on("iam:PassRole", "arn:aws:iam::"+account+":role/admin"), on("sts:AssumeRole", "arn:aws:iam::"+account+":role/admin"),
	}
	if values.Discovery == nil { // otherwise the tag does make it ours
		requests = append(requests, Request{Action: "ec2:AssociateAddress", Resources: []Resource{ourAddress(), foreign}}, Request{Action: "ec2:DescribeInstances"})
	}
	for other := range values.Nodes {
		if other != node {
			requests = append(requests, on("ssm:GetParameter", arn("ssm", "parameter/hacluster/edge/"+other+"/key")))
		}
	}
	if !values.DisassociateAnywhere {
		requests = append(requests, takeFromElsewhere())
	}
	for _, action := range []string{"ec2:AllocateAddress", "ec2:ReleaseAddress", "ec2:DescribeSnapshots", "ec2:CreateTags", "ec2:RunInstances",
		"ec2:TerminateInstances", "ec2:ModifyNetworkInterfaceAttribute", "ec2:UnassignPrivateIpAddresses", "ssm:SendCommand"} {
		requests = append(requests, Request{Action: action}, Request{Action: action, Resources: []Resource{ourAddress()}},
			Request{Action: action, Resources: []Resource{ours}})
	}
	return requests
}

// mutants are the policy, broken, by how: an action removed, one added, resources or conditions loosened.
func mutants(t *testing.T, p Policy) map[string]Policy {
	t.Helper()
	all := map[string]Policy{}
	broken := func(how string, i int, change func(*Statement)) {
		m := deepCopy(t, p)
		change(&m.Statements[i])
		all[how+" in "+m.Statements[i].Sid] = m
	}
	for i, s := range p.Statements {
		for n, a := range s.Actions {
			broken(a+" removed", i, func(s *Statement) { s.Actions = slices.Delete(s.Actions, n, n+1) })
			broken("all of "+a+"'s service", i, func(s *Statement) { s.Actions[n] = strings.Split(a, ":")[0] + ":*" })
		}
		for _, a := range []string{"ec2:ReleaseAddress", "ec2:DescribeInstances", "ec2:TerminateInstances", "s3:ListBucket"} {
			if p.Allows(Request{Action: a}) {
				continue // where it stands makes no difference then
			}
			broken(a+" added", i, func(s *Statement) { s.Actions = append(s.Actions, a) })
		}
		if !slices.Contains(s.Resources, "*") {
			broken("any resource", i, func(s *Statement) { s.Resources = oneOrMany{"*"}; s.Conditions = nil })
		}
		if len(s.Conditions) > 0 {
			broken("no condition", i, func(s *Statement) { s.Conditions = nil })
		}
	}
	return all
}

func deepCopy(t *testing.T, p Policy) Policy {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var c Policy
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
