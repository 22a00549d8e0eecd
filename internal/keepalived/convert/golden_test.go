package convert_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hacluster/hacluster/internal/config"
	"github.com/hacluster/hacluster/internal/keepalived"
	"github.com/hacluster/hacluster/internal/keepalived/convert"
)

var update = flag.Bool("update", false, "write the golden files")

// witness is the third node that most cases are given.
func witness() *convert.Node {
	return &convert.Node{Name: "lb-c", Address: netip.MustParseAddrPort("10.0.3.11:7400"), Witness: true}
}

// conversion is one case of the corpus.
type conversion struct {
	name    string // of the golden files
	request convert.Request
	want    convert.Result
	refusal []string // the keys that "config check" refuses a file for that is not complete
}

func corpus() []conversion {
	return []conversion{
		// The recipe that has been copied since 2014.
		{"classic", convert.Request{Configs: []string{"classic/a/keepalived.conf", "classic/b/keepalived.conf"}}, convert.Incomplete, nil},
		{"classic-third", convert.Request{Configs: []string{"classic/a/keepalived.conf", "classic/b/keepalived.conf"}, Third: witness()}, convert.Complete, nil},
		// The same with a public address only.
		{"public-ip", convert.Request{Configs: []string{"public-ip/a/keepalived.conf", "public-ip/b/keepalived.conf"}, Third: witness()},
			convert.Incomplete, []string{"eip.allocation_id"}},
		{"public-ip-looked-up", convert.Request{
			Configs: []string{"public-ip/a/keepalived.conf", "public-ip/b/keepalived.conf"}, Third: witness(), AllocationID: "eipalloc-0123456789abcdef0",
		}, convert.Complete, nil},
		{"nginx-guide", convert.Request{Configs: []string{"nginx-guide/keepalived-a.conf", "nginx-guide/keepalived-b.conf"}, Third: witness()}, convert.Complete, nil},
		{"crlf", convert.Request{Configs: []string{"crlf/a/keepalived.conf", "crlf/b/keepalived.conf"}, Third: witness()}, convert.Complete, nil},
		{"includes", convert.Request{Configs: []string{"includes/a/keepalived.conf", "includes/b/keepalived.conf"}, Third: witness()}, convert.Complete, nil},
		{"hosts", convert.Request{Configs: []string{"hosts/keepalived.conf"}, Hosts: []string{"lb-east", "lb-west"}, Third: witness()}, convert.Complete, nil},
		{"hosts-unsaid", convert.Request{Configs: []string{"hosts/keepalived.conf"}, Third: witness()}, convert.Refused, nil},
		{"sync-group", convert.Request{Configs: []string{"sync-group/keepalived-lb-a.conf", "sync-group/keepalived-lb-b.conf"}, Third: witness()}, convert.Refused, nil},
		{"sync-group-one", convert.Request{
			Configs: []string{"sync-group/keepalived-lb-a.conf", "sync-group/keepalived-lb-b.conf"}, Third: witness(),
			Instance: "public", AllocationID: "eipalloc-0000000000000aaaa",
		}, convert.Complete, nil},
		{"lvs", convert.Request{Configs: []string{"lvs/keepalived.conf"}}, convert.Refused, nil},
		{"routes", convert.Request{Configs: []string{"routes/keepalived.conf"}}, convert.Refused, nil},
		{"tuned", convert.Request{Configs: []string{"tuned/lb-a.conf", "tuned/lb-b.conf"}, Third: &convert.Node{Name: "lb-c", Address: netip.MustParseAddrPort("10.0.3.11:7500")}},
			convert.Complete, nil},
		{"version-3", convert.Request{Configs: []string{"version-3/lb-a.conf", "version-3/lb-b.conf"}, Third: witness()}, convert.Complete, nil},
		{"mismatch", convert.Request{Configs: []string{"mismatch/a.conf", "mismatch/b.conf"}, Third: witness()}, convert.Refused, nil},
		{"hooks", convert.Request{Configs: []string{"hooks/node-a.conf", "hooks/node-b.conf"}, Third: witness()}, convert.Complete, nil},
		{"boto", convert.Request{Configs: []string{"boto/a.conf", "boto/b.conf"}, Names: []string{"edge-1", "edge-2"}, Third: witness()}, convert.Complete, nil},
		{"one-file", convert.Request{Configs: []string{"one-file/keepalived.conf"}, Third: witness()}, convert.Complete, nil},
		{"risky", convert.Request{Configs: []string{"risky/a.conf", "risky/b.conf"}, Third: witness()}, convert.Incomplete, []string{"eip.allocation_id"}},
		{"multicast", convert.Request{Configs: []string{"multicast/keepalived.conf"}}, convert.Refused, nil},
		{"ec2-tools", convert.Request{
			Configs: []string{"ec2-tools/keepalived_a.conf", "ec2-tools/keepalived_b.conf"}, Names: []string{"edge-1", "edge-2", "edge-3"},
			AllocationID: "eipalloc-0123456789abcdef0",
		}, convert.Incomplete, nil},
		{"two-checks", convert.Request{Configs: []string{"two-checks/lb-a.conf", "two-checks/lb-b.conf"}, Third: witness()}, convert.Complete, nil},
		{"tcp", convert.Request{Configs: []string{"tcp/node-a.conf", "tcp/node-b.conf"}, Third: witness()}, convert.Complete, nil},
	}
}

// TestCorpus converts what people have, and loads what comes out as the agent does.
func TestCorpus(t *testing.T) {
	t.Chdir("testdata")
	for _, c := range corpus() {
		t.Run(c.name, func(t *testing.T) {
			text, report, err := convert.Convert(keepalived.Disk{}, c.request)
			if err != nil {
				t.Fatal(err)
			}
			if report.Result != c.want {
				t.Errorf("result = %s, want %s", report.Result, c.want)
			}
			var printed bytes.Buffer
			if err := report.Write(&printed); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".report.txt", printed.Bytes())
			if c.want == convert.Refused {
				if text != nil {
					t.Errorf("refused, and yet there is a file:\n%s", text)
				}
				return
			}
			golden(t, c.name+".yaml", text)
			checkLoads(t, text, c.refusal)
			checkNoSecret(t, text, report)
		})
	}
}

// golden compares with a file of testdata/golden, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update writes it:\n%s", path, diff)
	}
}

// checkLoads has the file checked for each of its nodes. A file that is not complete is refused for the stated keys, and
// for nothing else.
func checkLoads(t *testing.T, text []byte, refusal []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hacluster.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	first := ""
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "  - name: "); ok && first == "" {
			first = strings.Fields(name)[0]
		}
	}
	cfg, err := config.LoadAs(path, first)
	if err == nil && len(cfg.Nodes) < 3 && !slices.ContainsFunc(cfg.Warnings(), func(w string) bool { return strings.Contains(w, "too few to begin a cluster") }) {
		t.Errorf("two nodes pass without a warning: %q", cfg.Warnings())
	}
	var keys []string
	if err != nil {
		problems, ok := err.(config.Errors) //nolint:errorlint // LoadAs returns it bare
		if !ok {
			t.Fatal(err)
		}
		for _, p := range problems {
			keys = append(keys, p.Key)
		}
	}
	if diff := cmp.Diff(refusal, keys); diff != "" {
		t.Errorf("config check refuses (-want +got):\n%s\n%v", diff, err)
	}
}

// checkNoSecret: no literal key of the corpus leaves it, in no format.
func checkNoSecret(t *testing.T, text []byte, report convert.Report) {
	t.Helper()
	asJSON, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", "hooks.slack", "pager.example.com"} {
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(asJSON, []byte(secret)) {
			t.Errorf("%s left the scripts", secret)
		}
	}
}

// TestClean: what is shown or copied holds no secret and no control character.
func TestClean(t *testing.T) {
	t.Chdir(t.TempDir())
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	node := func(source, peer string) string {
		return "vrrp_script c {\n script \"/bin/check --password=hunter2 -k AKIAIOSFODNN7EXAMPLE\"\n}\nvrrp_instance \"V\x1b[31m\" {\n virtual_router_id 1\n unicast_src_ip " + source +
			"\n unicast_peer { " + peer + " }\n track_script { c }\n notify_backup \"/bin/n " + secret + "\"\n bogus " + secret + "\n}\n"
	}
	for name, text := range map[string]string{"a.conf": node("10.0.0.1", "10.0.0.2"), "b.conf": node("10.0.0.2", "10.0.0.1")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, report, err := convert.Convert(keepalived.Disk{}, convert.Request{Configs: []string{"a.conf", "b.conf"}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Result != convert.Refused {
		t.Errorf("a check with a password on its command line is copied: %s", text)
	}
	var printed bytes.Buffer
	if err := report.Write(&printed); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"hunter2", "AKIA", secret, "\x1b"} {
		if strings.Contains(printed.String(), bad) {
			t.Errorf("%q is in the report:\n%s", bad, printed.String())
		}
	}
	if !strings.Contains(printed.String(), "bogus [removed]") {
		t.Errorf("the report loses a statement:\n%s", printed.String())
	}
}

// inMemory is a set of files by name.
type inMemory map[string]string

func (m inMemory) ReadFile(name string) ([]byte, error) {
	text, ok := m[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return []byte(text), nil
}

func (m inMemory) Glob(string) ([]string, error) { return nil, nil }

// FuzzConvert: whatever the files say, a conversion that calls itself complete passes "config check", and one that is
// not complete is only refused for the steps that it leaves open.
func FuzzConvert(f *testing.F) {
	for _, c := range corpus() {
		var texts []string
		for _, name := range append(c.request.Configs, c.request.Configs[0]) {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				f.Fatal(err)
			}
			texts = append(texts, string(text))
		}
		f.Add(texts[0], texts[1], "aws ec2 associate-address --allocation-id eipalloc-12345678 --region eu-west-1\n")
	}
	f.Fuzz(func(t *testing.T, a, b, master string) {
		files := inMemory{"a.conf": a, "b.conf": b, "master.sh": master, "take.sh": master}
		text, report, err := convert.Convert(files, convert.Request{Configs: []string{"a.conf", "b.conf"}, Names: []string{"lb-a", "lb-b"}, Third: witness()})
		if err != nil || report.Result == convert.Refused {
			return
		}
		_, err = config.Parse("hacluster.yaml", append(text, "\nnode: lb-c\n"...))
		if err == nil {
			return
		}
		for problem := range strings.Lines(err.Error()) {
			if report.Result == convert.Complete || !strings.Contains(problem, "eip.allocation_id") {
				t.Fatalf("%s, but config check says:\n%v\n%s", report.Result, err, text)
			}
		}
	})
}
