package install

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/internal/tfcheck"
)

const (
	terraform = "../../../deploy/terraform"
	// packaged is the node that gets the .deb from a web server. The others get the bare binary from a bucket, as the lab on AWS does.
	packaged = "lb-3"
)

// render has Terraform render the templates, and puts what they name where they say. The nodes differ in where the program comes from.
func (c *cloud) render() map[string]tfcheck.Rendered {
	c.t.Helper()
	binaries, err := filepath.Glob(filepath.Join(os.Getenv(dist), "hacluster_*_linux_"+runtime.GOARCH))
	if err != nil || len(binaries) != 1 {
		c.t.Fatalf("binaries in %s: %v, %v: run 'make dist'", os.Getenv(dist), binaries, err)
	}
	binary, sum := c.read(binaries[0])
	key := "/hacluster-" + sum
	object := "arn:aws:s3:::" + bucket + key
	c.account.publish(bucket+".s3"+serviceDomain+key, binary)
	c.program = tfcheck.Program{Kind: "binary", URL: "s3://" + bucket + key, SHA256: sum, ObjectARN: &object}
	fromBucket := c.renderValues(c.values(c.program))
	deb, sum := c.read(c.pkg)
	c.account.publish(packageHost+packagePath, deb)
	fromWeb := c.renderValues(c.values(tfcheck.Program{Kind: "package", URL: "https://" + packageHost + packagePath, SHA256: sum}))
	all := map[string]tfcheck.Rendered{}
	for i := 1; i <= 3; i++ {
		node := fmt.Sprintf("lb-%d", i)
		all[node] = fromBucket
		if node == packaged {
			all[node] = fromWeb
		}
		c.certify(node)
		c.permit(i, all[node].Policies[node])
	}
	return all
}

// renderFound renders the templates for nodes that find one another by their tag. Their certificates they make themselves.
func (c *cloud) renderFound() tfcheck.Rendered {
	c.t.Helper()
	values := c.values(c.program)
	values.Nodes, values.Discovery = map[string]tfcheck.Node{}, &tfcheck.Discovery{Expect: 3}
	rendered := c.renderValues(values)
	key, err := x509.MarshalPKCS8PrivateKey(c.own.key)
	must(c.t, err)
	c.account.store(parameterPath+"/"+tfcheck.Found+"/ca", c.own.pem)
	c.account.store(parameterPath+"/"+tfcheck.Found+"/ca-key", encode("PRIVATE KEY", key))
	for i := 1; i <= 3; i++ {
		c.permit(i, rendered.Policies[tfcheck.Found])
	}
	return rendered
}

// permit gives the role of a machine its policy.
func (c *cloud) permit(i int, text string) {
	c.t.Helper()
	policy, err := tfcheck.ParsePolicy(text)
	must(c.t, err)
	c.account.permit(nodeAddress(i), policy)
}

// read returns a file and its SHA-256.
func (c *cloud) read(file string) (content []byte, sum string) {
	c.t.Helper()
	content, err := os.ReadFile(file)
	must(c.t, err)
	return content, fmt.Sprintf("%x", sha256.Sum256(content))
}

// certify puts a new certificate for a node where the module has Terraform put it, and returns it.
func (c *cloud) certify(node string) string {
	c.t.Helper()
	certificate, key := c.own.issue(c.t, node+"."+clusterName+".hacluster")
	for name, value := range map[string]string{"ca": c.own.pem, "cert": certificate, "key": key} {
		c.account.store(parameterPath+"/"+node+"/"+name, value)
	}
	return certificate
}

// values are what Terraform knows of a cluster with this program.
func (c *cloud) values(program tfcheck.Program) tfcheck.Values {
	c.t.Helper()
	values := tfcheck.Values{
		Cluster: clusterName, Region: region, Architecture: runtime.GOARCH, EIP: tfcheck.EIP{AllocationID: allocation, ARN: elasticIPARN},
		Nodes: map[string]tfcheck.Node{}, Servers: map[string]string{}, Prepare: labPrepares(c.t), Program: program,
		TLSParameters: &tfcheck.Parameters{Path: parameterPath, ARN: parametersARN},
	}
	for i := 1; i <= 3; i++ {
		values.Nodes[fmt.Sprintf("lb-%d", i)] = tfcheck.Node{Address: nodeAddress(i).String(), Priority: 104 - i, InterfaceARN: interfaceARNOf + interfaceID(i)}
	}
	for i := 1; i <= webServers; i++ {
		values.Servers[fmt.Sprintf("web-%d", i)] = webAddress(i).String()
	}
	return values
}

func (c *cloud) renderValues(values tfcheck.Values) tfcheck.Rendered {
	c.t.Helper()
	rendered, err := tfcheck.Render(c.t.Context(), terraform, c.t.TempDir(), values)
	if errors.Is(err, tfcheck.ErrNoTerraform) {
		c.missing(err.Error())
	}
	must(c.t, err)
	return rendered
}

// labPrepares returns the commands by which the lab on AWS prepares its nodes.
func labPrepares(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(terraform + "/examples/lab/main.tf")
	must(t, err)
	list := regexp.MustCompile(`(?s)\n  prepare = \[\n(.*?)\n  \]\n`).FindSubmatch(text)
	if list == nil {
		t.Fatal("the lab's main.tf prepares nothing")
	}
	var commands []string
	for line := range strings.Lines(string(list[1])) {
		command, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(line), ","))
		must(t, err)
		commands = append(commands, command)
	}
	return commands
}
