package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tools are the programs that the keepalived systems run.
type Tools struct {
	Keepalived, Associate, Watch string // paths
}

// awsCommand is what the classic recipe calls.
const awsCommand = "/usr/bin/aws"

// toolSource is where this module keeps the programs that BuildTools builds.
const toolSource = "github.com/hacluster/hacluster/internal/lab/bench/"

// BuildTools finds keepalived and builds, in dir and from the module in the working directory, the programs that an expert
// would write for it: static, so that they start within milliseconds.
func BuildTools(ctx context.Context, dir string) (Tools, error) {
	tools := Tools{Associate: filepath.Join(dir, "associate"), Watch: filepath.Join(dir, "watch")}
	var missing error
	var err error
	if tools.Keepalived, err = exec.LookPath("keepalived"); err != nil {
		missing = errors.New("keepalived is not installed: apt-get install keepalived")
	}
	if _, err := os.Stat(awsCommand); err != nil {
		missing = errors.Join(missing, fmt.Errorf("%s is not installed: apt-get install awscli", awsCommand))
	}
	if missing != nil {
		return tools, missing
	}
	for _, path := range []string{tools.Associate, tools.Watch} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, toolSource+filepath.Base(path))
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return tools, fmt.Errorf("build %s, which needs go and this project's source in the working directory: %w\n%s", path, err, out)
		}
	}
	return tools, nil
}
