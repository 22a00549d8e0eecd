package tfcheck

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	modules = "../../deploy/terraform"

	account = "111122223333"
	region  = "eu-central-1"
	alloc   = "eipalloc-0123456789abcdef0"
)

func arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, region, account, resource)
}

func interfaceID(i int) string { return fmt.Sprintf("eni-%017d", i) }

// threeNodes is a cluster as the lab makes it: a binary from a bucket, plain TCP, no extras.
func threeNodes() Values {
	object := "arn:aws:s3:::hacluster-edge-1/hacluster-1"
	v := Values{
		Cluster: "edge", Region: region, Architecture: "arm64",
		EIP:     EIP{AllocationID: alloc, ARN: arn("ec2", "elastic-ip/"+alloc)},
		Nodes:   map[string]Node{},
		Servers: map[string]string{"web-1": "10.97.100.21", "web-2": "10.97.101.22"},
		Prepare: []string{"test -s /etc/haproxy/lab.pem || echo 'make it'"},
		Program: Program{Kind: "binary", URL: "s3://hacluster-edge-1/hacluster-1", SHA256: strings.Repeat("0", 64), ObjectARN: &object},
	}
	for i := 1; i <= 3; i++ {
		v.Nodes[fmt.Sprintf("lb-%d", i)] = Node{Address: fmt.Sprintf("10.97.%d.11", i), Priority: 104 - i,
			InterfaceARN: arn("ec2", "network-interface/"+interfaceID(i))}
	}
	return v
}

// withWitness is threeNodes with everything switched on, and the third node a witness.
func withWitness() Values {
	v := threeNodes()
	third := v.Nodes["lb-3"]
	third.Witness = true
	delete(v.Nodes, "lb-3")
	v.Nodes["witness"] = third
	v.TLSParameters = &Parameters{Path: "/hacluster/edge", ARN: arn("ssm", "parameter/hacluster/edge")}
	v.LogGroup = &LogGroup{Name: "/hacluster/edge", ARN: arn("logs", "log-group:/hacluster/edge")}
	v.ShellAccess = true
	v.Settings = map[string]any{"profile": "fast", "port": 7500}
	return v
}

// fromPackage is threeNodes with a .deb from a web server.
func fromPackage() Values {
	v := threeNodes()
	v.Program = Program{Kind: "package", URL: "https://packages.example.org/hacluster.deb", SHA256: strings.Repeat("0", 64)}
	return v
}

// byTag is a cluster whose nodes are found by their tag.
func byTag() Values {
	v := threeNodes()
	v.Nodes, v.Discovery = map[string]Node{}, &Discovery{Expect: 3}
	v.TLSParameters = &Parameters{Path: "/hacluster/edge", ARN: arn("ssm", "parameter/hacluster/edge")}
	return v
}

// clusters are the Values that the templates are rendered with.
func clusters() map[string]Values {
	return map[string]Values{"three nodes": threeNodes(), "two and a witness": withWitness(), "from a package": fromPackage(), "by tag": byTag()}
}

func render(t *testing.T, v Values) Rendered {
	t.Helper()
	r, err := Render(t.Context(), modules, t.TempDir(), v)
	if errors.Is(err, ErrNoTerraform) {
		t.Skip("NOT TESTED: " + err.Error()) // it is not a Debian package, so not even CI may have it
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// missing ends a test that cannot run here: loudly, and in CI as a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("NOT TESTED: " + what)
}

// command runs a program that judges a file, and fails the test with what it says.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		if program, err = exec.LookPath(filepath.Join("/usr/sbin", name)); err != nil {
			missing(t, "no "+name+" command")
		}
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func userData(t *testing.T, text string) UserData {
	t.Helper()
	u, err := ParseUserData(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
