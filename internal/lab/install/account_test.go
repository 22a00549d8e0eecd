package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hacluster/hacluster/eip/ec2fake"
	"github.com/hacluster/hacluster/internal/lab/vnet"
	"github.com/hacluster/hacluster/internal/tfcheck"
)

// What Terraform would have made before the nodes start.
const (
	clusterName    = "edge"
	region         = "eu-central-1"
	accountID      = "123456789012"
	bucket         = "hacluster-edge-1"
	packageHost    = "packages.example.org"
	parameterPath  = "/hacluster/" + clusterName
	serviceDomain  = "." + region + ".amazonaws.com"
	everyBucket    = "*.s3" + serviceDomain
	ec2Host        = "ec2" + serviceDomain
	ssmHost        = "ssm" + serviceDomain
	elasticIPARN   = "arn:aws:ec2:" + region + ":" + accountID + ":elastic-ip/" + allocation
	parametersARN  = "arn:aws:ssm:" + region + ":" + accountID + ":parameter" + parameterPath
	packagePath    = "/hacluster.deb"
	interfaceARNOf = "arn:aws:ec2:" + region + ":" + accountID + ":network-interface/"
)

// account is what AWS is to the nodes: EC2, S3 and the parameters of SSM under the names that they have there. Who calls is known by his
// address, and what he may do is what the policy of his role says.
type account struct {
	ec2     http.Handler
	gateway *vnet.Gateway

	mu         sync.Mutex
	policies   map[string]tfcheck.Policy // by source address
	files      map[string][]byte         // HOST/PATH -> what is there, in buckets and on web servers
	parameters map[string]string
	interfaces map[string]string // association id -> network interface
	made       []madeCall
	broken     error // of the gateway
}

// madeCall is a call that IAM was asked about.
type madeCall struct {
	source, action, resource string // of the resources, the first one
	allowed                  bool
}

func newAccount(gateway *vnet.Gateway) *account {
	return &account{gateway: gateway, policies: map[string]tfcheck.Policy{}, files: map[string][]byte{}, parameters: map[string]string{},
		interfaces: map[string]string{}}
}

// ServeHTTP answers for all hosts of the account.
func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Host == ec2Host:
		a.ec2.ServeHTTP(w, r)
	case r.Host == ssmHost:
		a.serveParameter(w, r)
	case strings.HasSuffix(r.Host, strings.TrimPrefix(everyBucket, "*")):
		a.serveObject(w, r)
	default:
		a.serveFile(w, r)
	}
}

// serveObject is GetObject and HeadObject of S3, which IAM knows as one action.
func (a *account) serveObject(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.Host, strings.TrimPrefix(everyBucket, "*"))
	object := tfcheck.Resource{ARN: "arn:aws:s3:::" + name + r.URL.Path}
	if !signedFor(r, "s3") || !a.allows(source(r), tfcheck.Request{Action: "s3:GetObject", Resources: []tfcheck.Resource{object}}) {
		http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
		return
	}
	a.serveFile(w, r)
}

func (a *account) serveFile(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	content, known := a.files[r.Host+r.URL.Path]
	a.mu.Unlock()
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"1"`)
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(content))
}

// serveParameter is GetParameter of SSM.
func (a *account) serveParameter(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Header.Get("X-Amz-Target") != "AmazonSSM.GetParameter" {
		http.Error(w, `{"__type": "UnknownOperationException"}`, http.StatusBadRequest)
		return
	}
	parameter := tfcheck.Resource{ARN: strings.TrimSuffix(parametersARN, parameterPath) + asked.Name}
	if !signedFor(r, "ssm") || !a.allows(source(r), tfcheck.Request{Action: "ssm:GetParameter", Resources: []tfcheck.Resource{parameter}}) {
		http.Error(w, `{"__type": "AccessDeniedException", "Message": "not by the policy of this role"}`, http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	value, known := a.parameters[asked.Name]
	a.mu.Unlock()
	if !known {
		http.Error(w, `{"__type": "ParameterNotFound"}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	answer := map[string]any{"Parameter": map[string]any{"Name": asked.Name, "Type": "SecureString", "Value": value, "Version": 1}}
	_ = json.NewEncoder(w).Encode(answer) // whoever has gone gets nothing
}

// judge denies the calls of EC2 that the caller's policy does not allow.
func (a *account) judge(_ *http.Request, call ec2fake.Call) []ec2fake.Fault {
	if call.AccessKey == personsKey {
		return nil
	}
	r := tfcheck.Request{Action: "ec2:" + call.Action}
	switch call.Action {
	case "AssociateAddress":
		r.Resources = []tfcheck.Resource{tagged(elasticIPARN), tagged(interfaceARNOf + call.Parameters["NetworkInterfaceId"])}
	case "DisassociateAddress":
		r.Resources = []tfcheck.Resource{tagged(elasticIPARN)}
		a.mu.Lock()
		if eni := a.interfaces[call.Parameters["AssociationId"]]; eni != "" { // nobody knows what a stale id stands for (docs/AWS.md)
			r.Resources = append(r.Resources, tagged(interfaceARNOf+eni))
		}
		a.mu.Unlock()
	}
	if a.allows(call.Source, r) {
		return nil
	}
	return []ec2fake.Fault{{Kind: ec2fake.Deny}}
}

// follow leads the address to where EC2 says it is.
func (a *account) follow(change ec2fake.Change) {
	err := a.gateway.Move(change.NewPrivateIP)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && a.broken == nil {
		a.broken = err
	}
	for i := 1; i <= 3; i++ {
		if change.NewPrivateIP == nodeAddress(i) {
			a.interfaces[change.NewAssociationID] = interfaceID(i)
		}
	}
}

// tagged is a resource with the tag that Terraform gives all that it makes.
func tagged(arn string) tfcheck.Resource {
	return tfcheck.Resource{ARN: arn, Tags: map[string]string{"hacluster": clusterName}}
}

func (a *account) allows(source string, r tfcheck.Request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	call := madeCall{source: source, action: r.Action, allowed: a.policies[source].Allows(r)}
	if len(r.Resources) > 0 {
		call.resource = r.Resources[0].ARN
	}
	a.made = append(a.made, call)
	return call.allowed
}

// permit gives the role of a machine its policy.
func (a *account) permit(source netip.Addr, policy tfcheck.Policy) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.policies[source.String()] = policy
}

// forget forgets the calls that were made.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made = nil
}

// publish puts content where HOST/PATH says.
func (a *account) publish(name string, content []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[name] = content
}

// store sets a parameter.
func (a *account) store(name, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parameters[name] = value
}

// calls returns the calls of one machine, each kind once with how often it was made.
func (a *account) calls(source netip.Addr) map[madeCall]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := map[madeCall]int{}
	for _, c := range a.made {
		if c.source == source.String() {
			found[c]++
		}
	}
	return found
}

// signedFor reports whether a request carries a role's signature for a service. Whether the signature is right only EC2's emulator checks.
func signedFor(r *http.Request, service string) bool {
	scope := fmt.Sprintf("/%s/%s/aws4_request", region, service)
	return strings.Contains(r.Header.Get("Authorization"), scope) && r.Header.Get("X-Amz-Security-Token") != ""
}

func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
