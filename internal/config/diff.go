package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change is a key that two configurations disagree about.
type Change struct {
	Key string `json:"key"` // as in the file: placement.preempt, nodes
	// Restart says why the change waits for a restart of the agent; empty: a running agent takes it.
	Restart string `json:"restart,omitempty"`
}

// restarts says, for each key or section, why a running agent does not take a change of it. The longest match counts; what is
// listed with an empty reason is taken live.
func restarts() map[string]string {
	const (
		identity = "it says who this node and its cluster are"
		peers    = "the nodes agree on it when they start"
		sockets  = "the socket is open already"
		timers   = "hashicorp/raft takes its timers when it starts"
	)
	return map[string]string{
		"cluster": identity, "node": identity, "data_dir": identity,
		"profile": "it chooses the defaults of timings that are set at the start",
		"nodes":   peers, "discovery": peers, "insecure": peers,
		"tls": "other files take a restart; the same files are read again by themselves", "tls.revoked": "",
		"eip": "every claim of this run depends on it", "eip.drift": "", "eip.observe_interval": "", "eip.confirm_timeout": "", "eip.release_wait": "",
		"aws": "the way to EC2 is open already", "vrrp": sockets, "raft": timers, "admin": sockets, "http": sockets,
		"placement": "", "health": "", "hooks": "", "log": "the format of a log does not change within it", "log.level": "",
	}
}

// Diff returns the keys that differ, in the order of the file. A section that only one of them has counts as one key, and so does a list.
func Diff(old, now Config) []Change {
	var changes []Change
	left := differing("", reflect.ValueOf(Take(old, now)), reflect.ValueOf(now))
	for _, key := range differing("", reflect.ValueOf(old), reflect.ValueOf(now)) {
		change := Change{Key: key, Restart: reasonFor(key)}
		if change.Restart == "" && slices.Contains(left, key) {
			change.Restart = "it only fits together with another key that takes one"
		}
		changes = append(changes, change)
	}
	return changes
}

// Take returns what a running agent makes of a changed file: the new value of each key that it takes live and
// that fits, the old one of every other.
func Take(old, now Config) Config {
	taken := old
	takeLive("", reflect.ValueOf(&taken).Elem(), reflect.ValueOf(now))
	taken.keepTogether(old)
	return taken
}

// keepTogether leaves what is judged by a key that waits for a restart as it was, where the two do not fit: no file may say that.
func (c *Config) keepTogether(old Config) {
	if c.EIP.ConfirmTimeout <= c.EIP.AttemptTimeout {
		c.EIP.ConfirmTimeout = old.EIP.ConfirmTimeout
	}
	if !c.Health.enabled() && !c.Self().Witness {
		c.Health = old.Health
	}
}

func takeLive(path string, into, now reflect.Value) {
	switch {
	case into.Kind() == reflect.Pointer && !into.IsNil() && !now.IsNil():
		own := reflect.New(into.Type().Elem()) // the old one goes on being used
		own.Elem().Set(into.Elem())
		takeLive(path, own.Elem(), now.Elem())
		into.Set(own)
	case into.Kind() == reflect.Struct && isSection(into.Type()):
		fields, changed := fieldsOf(into), fieldsOf(now)
		for _, key := range fields.keys {
			takeLive(joinPath(path, key), fields.byKey[key], changed.byKey[key])
		}
	case reasonFor(path) == "":
		into.Set(now)
	}
}

// reasonFor finds the longest section that a key is in.
func reasonFor(key string) string {
	reasons := restarts()
	for section := key; section != ""; section = parentPath(section) {
		if reason, listed := reasons[section]; listed {
			return reason
		}
	}
	return fmt.Sprintf("nobody has said that %s can change", key)
}

func differing(path string, old, now reflect.Value) []string {
	if reflect.DeepEqual(old.Interface(), now.Interface()) {
		return nil
	}
	if old.Kind() == reflect.Pointer && !old.IsNil() && !now.IsNil() {
		return differing(path, old.Elem(), now.Elem())
	}
	if old.Kind() != reflect.Struct || !isSection(old.Type()) {
		return []string{path}
	}
	before, after := fieldsOf(old), fieldsOf(now)
	var keys []string
	for _, key := range before.keys {
		keys = append(keys, differing(joinPath(path, key), before.byKey[key], after.byKey[key])...)
	}
	return keys
}

// isSection tells the sections of the file from values that happen to be structs, such as addresses.
func isSection(t reflect.Type) bool { return strings.HasSuffix(t.PkgPath(), "internal/config") }
