package tfcheck

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/config"
)

// cloudInit names Debian's cloud-init, unpacked; 'make terraform-check' sets it.
const cloudInit = "HACLUSTER_CLOUD_INIT"

// TestTemplates renders every template and gives the result to whoever will read it on a node.
func TestTemplates(t *testing.T) {
	for name, values := range clusters() {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, values)
			for node, text := range rendered.UserData {
				t.Run(node, func(t *testing.T) {
					root := t.TempDir()
					u := userData(t, text)
					if err := u.WriteFiles(root); err != nil {
						t.Fatal(err)
					}
					checkUserData(t, text)
					checkConfig(t, root, node, values)
					checkBootstrap(t, root)
					if values.Program.Kind == "binary" {
						checkUnit(t, root)
					}
					if !values.Nodes[node].Witness {
						checkHAProxy(t, root)
					}
				})
			}
		})
	}
}

// checkUserData: EC2 takes 16 KiB, which the module compresses; cloud-init knows the schema.
func checkUserData(t *testing.T, text string) {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal("compress user data")
	}
	if packed.Len() > 12<<10 {
		t.Errorf("user data is %d bytes, compressed: little is left of EC2's 16 KiB for a real HAProxy configuration", packed.Len())
	}
	root := os.Getenv(cloudInit)
	if root == "" {
		t.Log("cloud-init's schema is checked by 'make terraform-check'")
		return
	}
	file := filepath.Join(t.TempDir(), "user-data")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin/python"), "-m", "cloudinit.cmd.main", "schema", "--config-file", file)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(root, "debian/usr/lib/python3/dist-packages"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("cloud-init schema: %v\n%s", err, out)
	}
}

// checkConfig: 'hacluster config check' as on the node; it needs no help to know which node it is.
func checkConfig(t *testing.T, root, node string, values Values) {
	t.Helper()
	file := filepath.Join(root, "etc/hacluster/hacluster.yaml")
	cfg, err := config.Load(file)
	if err != nil {
		t.Error(err)
		return
	}
	if values.Discovery != nil {
		checkDiscovery(t, cfg, values)
		return
	}
	if cfg.Node != node || cfg.Cluster.Name != values.Cluster || len(cfg.Nodes) != len(values.Nodes) || cfg.EIP.AllocationID != alloc {
		t.Errorf("configuration of %s: node %s, cluster %s, %d nodes, %s", node, cfg.Node, cfg.Cluster.Name, len(cfg.Nodes), cfg.EIP.AllocationID)
	}
	if self := cfg.Self(); self.Witness != values.Nodes[node].Witness || self.Priority != values.Nodes[node].Priority {
		t.Errorf("configuration of %s: %+v", node, self)
	}
	if insecure := values.TLSParameters == nil; cfg.Insecure != insecure {
		t.Errorf("configuration of %s: insecure: %v, want %v", node, cfg.Insecure, insecure)
	}
}

// checkDiscovery: the tag is the one that the module gives its instances, and that no other cluster's have.
func checkDiscovery(t *testing.T, cfg config.Config, values Values) {
	t.Helper()
	want := config.Discovery{Tag: "hacluster=" + values.Cluster, Expect: values.Discovery.Expect, Port: 7400, Interval: 30 * time.Second, Stabilisation: 5 * time.Minute}
	if cfg.Discovery == nil || *cfg.Discovery != want || len(cfg.Nodes) != 0 || cfg.Insecure {
		t.Errorf("configuration of nodes that are found by their tag: %+v, nodes %v, insecure: %v", cfg.Discovery, cfg.Nodes, cfg.Insecure)
	}
}

func checkBootstrap(t *testing.T, root string) {
	t.Helper()
	script := filepath.Join(root, "usr/local/sbin/hacluster-bootstrap")
	command(t, "sh", "-n", script)
	command(t, "shellcheck", script)
}

// checkHAProxy: HAProxy itself reads its configuration. The certificate and the users are not on this machine.
func checkHAProxy(t *testing.T, root string) {
	t.Helper()
	file := filepath.Join(root, "etc/haproxy/haproxy.cfg")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	here := regexp.MustCompile(`ssl crt \S+`).ReplaceAll(text, nil)
	here = regexp.MustCompile(`(?m)^ +(user|group|chroot) .*$`).ReplaceAll(here, nil)
	here = regexp.MustCompile(` user haproxy group haproxy`).ReplaceAll(here, nil)
	if err := os.WriteFile(file, here, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "haproxy", "-c", "-f", file)
}

// checkUnit: it is that of the packages, which deploy/systemd judges, but for where the program is.
func checkUnit(t *testing.T, root string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(root, "etc/systemd/system/hacluster.service"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(modules + "/../systemd/hacluster.service")
	if err != nil {
		t.Fatal(err)
	}
	const path = "ExecStart=%s/hacluster agent --config /etc/hacluster/hacluster.yaml\n"
	if again := strings.Replace(string(got), fmt.Sprintf(path, "/usr/local/bin"), fmt.Sprintf(path, "/usr/bin"), 1); again != string(want) {
		t.Errorf("the unit is not that of the packages:\n%s", got)
	}
	if strings.Contains(string(got), "/usr/bin/hacluster") {
		t.Error("the unit starts a program that bootstrap does not install")
	}
}

// TestPackageBringsItsUnit: two units of one name would fight.
func TestPackageBringsItsUnit(t *testing.T) {
	u := userData(t, render(t, fromPackage()).UserData["lb-1"])
	if unit := u.File("/etc/systemd/system/hacluster.service"); unit != "" {
		t.Errorf("a unit beside that of the package:\n%s", unit)
	}
	if script := u.File("/usr/local/sbin/hacluster-bootstrap"); !strings.Contains(script, "force-confold") {
		t.Error("the package would replace the configuration, or ask about it")
	}
}

// TestWitnessHasNoHAProxy: it only votes.
func TestWitnessHasNoHAProxy(t *testing.T) {
	if text := render(t, withWitness()).UserData["witness"]; strings.Contains(text, "haproxy.cfg") || strings.Contains(text, `- "haproxy"`) {
		t.Errorf("user data of a witness is about HAProxy:\n%s", text)
	}
}

// TestNoSecretInUserData: everybody on the node, and in the account, can read it.
func TestNoSecretInUserData(t *testing.T) {
	for node, text := range render(t, withWitness()).UserData {
		if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "BEGIN CERTIFICATE") {
			t.Errorf("user data of %s carries keys or certificates", node)
		}
		if !strings.Contains(text, "/hacluster/edge/"+node+"/") {
			t.Errorf("user data of %s does not fetch its own certificates", node)
		}
	}
}

// TestFoundNodesHaveNoNames: three instances of one name would be one node to everybody who reads a log.
func TestFoundNodesHaveNoNames(t *testing.T) {
	if u := userData(t, render(t, byTag()).UserData[Found]); u.Hostname != "" || !u.ManageEtcHosts {
		t.Errorf("host name %q, /etc/hosts by cloud-init: %v", u.Hostname, u.ManageEtcHosts)
	}
}

// TestRenderSaysWhatIsWrong: the message of a variable's validation reaches the reader.
func TestRenderSaysWhatIsWrong(t *testing.T) {
	render(t, threeNodes()) // or there is no terraform
	wrong := threeNodes()
	wrong.Cluster = "Edge"
	_, err := Render(t.Context(), modules, t.TempDir(), wrong)
	if err == nil || !strings.Contains(err.Error(), "cluster must begin with a letter") {
		t.Errorf("error: %v", err)
	}
}
