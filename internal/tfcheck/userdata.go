package tfcheck

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// UserData is the part of a cloud-init configuration that the templates use.
type UserData struct {
	Hostname       string     `yaml:"hostname"`
	ManageEtcHosts bool       `yaml:"manage_etc_hosts"`
	BootCommands   []string   `yaml:"bootcmd"`
	PackageUpdate  bool       `yaml:"package_update"`
	Packages       []string   `yaml:"packages"`
	Files          []File     `yaml:"write_files"`
	Commands       [][]string `yaml:"runcmd"`
}

// File is one file that cloud-init writes.
type File struct {
	Path        string `yaml:"path"`
	Permissions string `yaml:"permissions"` // octal, as chmod has it
	Content     string `yaml:"content"`
	Deferred    bool   `yaml:"defer"` // after the packages are installed
}

// ParseUserData reads what cloud-init would get. Keys that are not in UserData are an error.
func ParseUserData(text string) (UserData, error) {
	body, ok := strings.CutPrefix(text, "#cloud-config\n")
	if !ok {
		return UserData{}, fmt.Errorf("parse user data: does not begin with #cloud-config")
	}
	var u UserData
	if err := yaml.UnmarshalWithOptions([]byte(body), &u, yaml.Strict()); err != nil {
		return UserData{}, fmt.Errorf("parse user data: %w", err)
	}
	return u, nil
}

// WriteFiles writes the files below root, as cloud-init does below '/'.
func (u UserData) WriteFiles(root string) error {
	for _, f := range u.Files {
		mode, err := strconv.ParseUint(f.Permissions, 8, 9)
		if err != nil {
			return fmt.Errorf("write %s: permissions %q are not octal", f.Path, f.Permissions)
		}
		target := filepath.Join(root, f.Path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		if err := os.WriteFile(target, []byte(f.Content), os.FileMode(mode)); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return nil
}

// File returns the content of the file that is written at path, "" if there is none.
func (u UserData) File(path string) string {
	for _, f := range u.Files {
		if f.Path == path {
			return f.Content
		}
	}
	return ""
}
