package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hooks lists the programs to run when this node's state changes (docs/HOOKS.md). Each is an absolute path and its arguments; an empty
// one is off.
type Hooks struct {
	NotifyMaster []string      `yaml:"notify_master"`
	NotifyBackup []string      `yaml:"notify_backup"`
	NotifyFault  []string      `yaml:"notify_fault"`
	NotifyStop   []string      `yaml:"notify_stop"`
	Notify       []string      `yaml:"notify"` // after the one for the state, with keepalived's four arguments
	Timeout      time.Duration `yaml:"timeout"`
}

func (h Hooks) validate(d *document) {
	validateCommand(d, "hooks.notify_master", h.NotifyMaster)
	validateCommand(d, "hooks.notify_backup", h.NotifyBackup)
	validateCommand(d, "hooks.notify_fault", h.NotifyFault)
	validateCommand(d, "hooks.notify_stop", h.NotifyStop)
	validateCommand(d, "hooks.notify", h.Notify)
	d.checkRange("hooks.timeout", h.Timeout, 100*time.Millisecond, 10*time.Minute)
}

// validateCommand looks at the words only: whether the program is there, and safe, is seen on the node.
func validateCommand(d *document, path string, command []string) {
	if len(command) == 0 {
		return
	}
	first := path + "[0]"
	if strings.ContainsAny(command[0], " \t") && len(command) == 1 {
		d.report(first, fmt.Sprintf("%q is a path and arguments in one", command[0]),
			"write each word as an item of its own, for example [/etc/hacluster/notify.sh, edge]")
		return
	}
	d.checkAbsolute(first, command[0])
	if slices.ContainsFunc(command, func(word string) bool { return strings.Contains(word, "\x00") }) {
		d.report(path, "contains a NUL character", "remove it")
	}
}
