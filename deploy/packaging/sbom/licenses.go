package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

// licenseFile matches what modules call the texts that must go with a copy.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)(\.(txt|md))?$`)

// writeLicenses collects the licences of the modules in a program and of Go itself. A module without one is an error: it must not be shipped.
func writeLicenses(ctx context.Context, file string, info *debug.BuildInfo) error {
	var text strings.Builder
	text.WriteString("hacluster is linked from these modules, each under its own licence.\n")
	goroot, err := goOutput(ctx, "env", "GOROOT")
	if err != nil {
		return err
	}
	if err := appendLicenses(&text, "Go "+info.GoVersion, goroot); err != nil {
		return err
	}
	for _, dep := range info.Deps {
		dir, err := goOutput(ctx, "list", "-m", "-f", "{{.Dir}}", dep.Path)
		if err != nil {
			return err
		}
		if err := appendLicenses(&text, dep.Path+" "+dep.Version, dir); err != nil {
			return err
		}
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write licences: %w", err)
	}
	return nil
}

func appendLicenses(text *strings.Builder, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for the licence of %s: %w", name, err)
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenseFile.MatchString(e.Name()) {
			continue
		}
		license, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("read the licence of %s: %w", name, err)
		}
		fmt.Fprintf(text, "\n==== %s: %s\n\n%s\n", name, e.Name(), strings.TrimSpace(string(license)))
		found = true
	}
	if !found {
		return fmt.Errorf("%s has no licence in %s: it must not be shipped", name, dir)
	}
	return nil
}

func goOutput(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
