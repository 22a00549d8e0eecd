package sandbox

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// A process id that now belongs to somebody else is not killed: only the token counts.
func TestDownSparesStrangers(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for name, test := range map[string]struct {
		token string
		dies  bool
	}{
		"the lab's own process": {"THETOKEN", true},
		"another lab":           {"OTHERTOKEN", false},
		"a longer token":        {"THETOKENS", false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sleep", "100")
			cmd.Env = append(os.Environ(), tokenVariable+"="+test.token)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			run := Run{Token: "THETOKEN", PID: cmd.Process.Pid, Scratch: t.TempDir()}
			alive, err := run.Down()
			if err != nil || alive != test.dies {
				t.Errorf("found alive: %t, %v", alive, err)
			}
			_ = cmd.Process.Signal(syscall.SIGTERM) // too late for one that was killed
			_ = cmd.Wait()
			killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if killed != test.dies {
				t.Errorf("killed: %t", killed)
			}
			if _, err := os.Stat(run.Scratch); !os.IsNotExist(err) {
				t.Errorf("traces are left: %v", err)
			}
		})
	}
}

func TestDownOfTheDead(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	run := Run{Token: "THETOKEN", PID: cmd.Process.Pid, Scratch: t.TempDir()}
	if alive, err := run.Down(); alive || err != nil {
		t.Errorf("alive: %t, %v", alive, err)
	}
}
