package tfcheck

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sources returns all Terraform files by path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(modules, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".tf" {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil || len(files) < 10 {
		t.Fatalf("%d Terraform files: %v", len(files), err)
	}
	return files
}

// TestTerraformNeverAssociates: an association in Terraform's hands would be put back at the next apply, whoever holds the address then.
func TestTerraformNeverAssociates(t *testing.T) {
	addresses := 0
	for path, text := range sources(t) {
		if strings.Contains(text, "aws_eip_association") {
			t.Errorf("%s: associates an address", path)
		}
		for _, block := range regexp.MustCompile(`(?ms)^resource "aws_eip".*?^}`).FindAllString(text, -1) {
			addresses++
			if regexp.MustCompile(`(?m)^ *(instance|network_interface|associate_with_private_ip) *=`).MatchString(block) {
				t.Errorf("%s: associates the address", path)
			}
			if !strings.Contains(block, "ignore_changes = [instance, network_interface, associate_with_private_ip]") {
				t.Errorf("%s: a plan would undo what the cluster did", path)
			}
		}
	}
	if addresses != 1 {
		t.Errorf("%d addresses, want one", addresses)
	}
}

// TestProvidersArePinned: everywhere to the same exact version.
func TestProvidersArePinned(t *testing.T) {
	versions := map[string]string{}
	for path, text := range sources(t) {
		for _, m := range regexp.MustCompile(`source += "(hashicorp/\w+)"\n +version = "(.*)"`).FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(m[2]) {
				t.Errorf("%s: %s has version %q, which is not exact", path, m[1], m[2])
			}
			if v := versions[m[1]]; v != "" && v != m[2] {
				t.Errorf("%s: %s %s, elsewhere %s", path, m[1], m[2], v)
			}
			versions[m[1]] = m[2]
		}
	}
	if len(versions) != 2 {
		t.Errorf("pinned: %v", versions)
	}
}

// TestDescriptionsAreEC2s: of security groups and their rules EC2 takes a small set of characters, and no plugin is here to say so.
func TestDescriptionsAreEC2s(t *testing.T) {
	blocks := regexp.MustCompile(`(?ms)^resource "aws_(security_group|vpc_security_group_\w+)".*?^}`)
	allowed := regexp.MustCompile(`^[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}$`)
	found := 0
	for path, text := range sources(t) {
		for _, block := range blocks.FindAllString(text, -1) {
			if m := regexp.MustCompile(`(?m)^ *description += "(.*)"$`).FindStringSubmatch(block); m != nil {
				found++
				if !allowed.MatchString(m[1]) {
					t.Errorf("%s: EC2 refuses the description %q", path, m[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d descriptions found", found)
	}
}

// typos are mistakes in modules/hacluster, and what Terraform has to say about them.
func typos() []struct{ file, right, wrong, says string } {
	return []struct{ file, right, wrong, says string }{
		{"nodes.tf", "ipv6_address_count", "ipv6_adress_count", `An argument named "ipv6_adress_count" is not expected here`},
		{"nodes.tf", "root_block_device {", "root_disk {", `Blocks of type "root_disk" are not expected here`},
		{"nodes.tf", "encrypted   = true", "encrypt = true", `An argument named "encrypt" is not expected here`},
		{"nodes.tf", "volume_size = 8", `volume_size = "big"`, "a number is required"},
		{"network.tf", `ip_protocol                  = "112"`, "", `The argument "ip_protocol" is required`},
		{"nodes.tf", "aws_placement_group.this.name", "aws_placement_group.this.title", `has no argument, nested block, or exported attribute named "title"`},
		{"logs.tf", `resource "aws_cloudwatch_log_group"`, `resource "aws_cloudwatch_log_grup"`, `does not support resource type`},
		{"tls.tf", `algorithm = "ECDSA"`, `algoritm = "ECDSA"`, `is not expected here`},
		{"main.tf", "most_recent = true", "newest = true", `An argument named "newest" is not expected here`},
	}
}

// TestTyposAreFound: each mistake, one at a time, where 'make terraform-check' has set up providers that know the names.
func TestTyposAreFound(t *testing.T) {
	if os.Getenv("HACLUSTER_TF_PROVIDERS") == "" {
		t.Skip("NOT TESTED: names of arguments; 'make terraform-check' does")
	}
	work := t.TempDir()
	for _, part := range []string{"terraform/modules", "systemd"} {
		if err := os.CopyFS(filepath.Join(work, part), os.DirFS(filepath.Join(modules, "..", part))); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(work, "terraform/modules/hacluster")
	if _, err := terraform(t.Context(), dir, "init", "-backend=false"); err != nil {
		t.Fatal(err)
	}
	if _, err := terraform(t.Context(), dir, "validate"); err != nil {
		t.Fatalf("without a mistake: %v", err)
	}
	for _, typo := range typos() {
		file := filepath.Join(dir, typo.file)
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), typo.right) {
			t.Fatalf("%s has no %q: %v", typo.file, typo.right, err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), typo.right, typo.wrong, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "terraform", "validate", "-no-color")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if said := strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", "")), " "); err == nil || !strings.Contains(said, typo.says) {
			t.Errorf("%s: %s instead of %s: error %v, said %s", typo.file, typo.wrong, typo.right, err, said)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
