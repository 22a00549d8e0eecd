package tfcheck

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoTerraform means that there is no terraform command to render with.
var ErrNoTerraform = errors.New("no terraform command: install Terraform 1.11 or later")

// rootModule calls the modules with variables from a file.
//
//go:embed testdata/render.tf
var rootModule []byte

// Values are what Terraform would know of a cluster once everything is made. The names are those of the module's variables, where they
// are explained.
type Values struct {
	Cluster              string            `json:"cluster"`
	Region               string            `json:"region"`
	Architecture         string            `json:"architecture"`
	EIP                  EIP               `json:"eip"`
	Nodes                map[string]Node   `json:"nodes"`
	Discovery            *Discovery        `json:"discovery"` // nil: the nodes are those of Nodes
	Settings             map[string]any    `json:"settings,omitempty"`
	Servers              map[string]string `json:"servers"` // of the lab's HAProxy: name to address
	Prepare              []string          `json:"prepare,omitempty"`
	Program              Program           `json:"program"`
	TLSParameters        *Parameters       `json:"tls_parameters"` // nil: plain TCP
	LogGroup             *LogGroup         `json:"log_group"`      // nil: none
	ShellAccess          bool              `json:"shell_access"`
	DisassociateAnywhere bool              `json:"disassociate_anywhere"`
}

// EIP is the Elastic IP.
type EIP struct {
	AllocationID string `json:"allocation_id"`
	ARN          string `json:"arn"`
}

// Node is one node.
type Node struct {
	Address      string `json:"address"`
	Priority     int    `json:"priority"`
	Witness      bool   `json:"witness"`
	InterfaceARN string `json:"interface_arn"`
}

// Discovery says how many nodes there are to be, if they are found by their tag.
type Discovery struct {
	Expect int `json:"expect"`
}

// Program says where hacluster comes from.
type Program struct {
	Kind      string  `json:"kind"` // binary or package
	URL       string  `json:"url"`
	SHA256    string  `json:"sha256"`
	ObjectARN *string `json:"object_arn"` // nil: the URL is not of S3
}

// Parameters is where the certificates are.
type Parameters struct {
	Path string `json:"path"`
	ARN  string `json:"arn"`
}

// LogGroup is where logs go.
type LogGroup struct {
	Name string `json:"name"`
	ARN  string `json:"arn"`
}

// Found is the name under which Rendered has the nodes that are found by their tag: all are alike.
const Found = "node"

// Rendered is what the module makes of Values, by the name of the node.
type Rendered struct {
	UserData   map[string]string `json:"user_data"`
	Policies   map[string]string `json:"policies"`
	Configs    map[string]string `json:"configs"`
	Bootstraps map[string]string `json:"bootstraps"`
}

// Render has Terraform render the templates of modules (the directory deploy/terraform) in the empty directory work. It wraps ErrNoTerraform
// if there is no terraform; an error of Terraform carries what it says.
func Render(ctx context.Context, modules, work string, values Values) (Rendered, error) {
	if _, err := exec.LookPath("terraform"); err != nil {
		return Rendered{}, fmt.Errorf("render templates: %w", ErrNoTerraform)
	}
	if err := layOut(modules, work, values); err != nil {
		return Rendered{}, fmt.Errorf("render templates: %w", err)
	}
	for _, args := range [][]string{{"init", "-backend=false"}, {"apply", "-auto-approve"}} {
		if _, err := terraform(ctx, work, args...); err != nil {
			return Rendered{}, fmt.Errorf("render templates: %w", err)
		}
	}
	out, err := terraform(ctx, work, "output", "-json", "rendered")
	if err != nil {
		return Rendered{}, fmt.Errorf("render templates: %w", err)
	}
	var r Rendered
	if err := json.Unmarshal(out, &r); err != nil {
		return Rendered{}, fmt.Errorf("read rendered templates: %w", err)
	}
	return r, nil
}

// layOut copies the modules and what they read of deploy, so that nothing is written beside them.
func layOut(modules, work string, values Values) error {
	deploy := filepath.Dir(modules)
	for _, dir := range []string{"terraform/modules/node-files", "terraform/examples/lab/templates", "systemd"} {
		if err := os.CopyFS(filepath.Join(work, dir), os.DirFS(filepath.Join(deploy, dir))); err != nil {
			return err
		}
	}
	variables, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(work, "main.tf"), rootModule, 0o600),
		os.WriteFile(filepath.Join(work, "terraform.tfvars.json"), variables, 0o600),
	)
}

// terraform runs the command in dir and returns its standard output. It asks nobody on the network.
func terraform(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "terraform", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0", "TF_CLI_ARGS=-no-color")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("terraform %s: %w: %s%s", args[0], err, out, stderr.String())
	}
	return out, nil
}
