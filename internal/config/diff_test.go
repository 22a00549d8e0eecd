package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiff(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // key: live or restart
	}{
		{"nothing", func(*Config) {}, ""},
		{"preemption", func(c *Config) { c.Placement.Preempt = true }, "placement.preempt: live"},
		{"two keys", func(c *Config) { c.Log.Level, c.EIP.Drift = "debug", DriftRespect }, "eip.drift: live, log.level: live"},
		{"a check", func(c *Config) { c.Health.HTTP = nil }, "health.http: live"},
		{"a hook", func(c *Config) { c.Hooks.Notify = []string{"/bin/true"} }, "hooks.notify: live"},
		{"a revoked certificate", func(c *Config) { c.TLS = &TLS{Revoked: []string{"x"}} }, "tls: restart"},
		{"half a section", func(c *Config) { c.Log = Log{Format: "console", Level: "debug"} }, "log.format: restart, log.level: live"},
		{"a path of a check", func(c *Config) { c.Health.HTTP.URL = "http://127.0.0.1/x" }, "health.http.url: live"},
		{"another address", func(c *Config) { c.EIP.AllocationID = "eipalloc-9" }, "eip.allocation_id: restart"},
		{"a node", func(c *Config) { c.Nodes = c.Nodes[:1] }, "nodes: restart"},
		{"the interval", func(c *Config) { c.VRRP.AdvertisementInterval = time.Second }, "vrrp.advertisement_interval: restart"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := parseExample(t), parseExample(t)
			before.TLS, after.TLS = nil, nil
			tt.change(&after)
			wantDiff(t, before, after, tt.want)
			taken := Take(before, after)
			for _, c := range Diff(before, taken) {
				if c.Restart != "" {
					t.Errorf("%s is taken by a running agent", c.Key)
				}
			}
			for _, c := range Diff(taken, after) {
				if c.Restart == "" {
					t.Errorf("%s is not taken by a running agent", c.Key)
				}
			}
		})
	}
}

// TestTakenIsValid: a running agent never gets what no file may say, half of it from the new file and half from the old one.
func TestTakenIsValid(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"a shorter confirm_timeout goes with the attempt_timeout",
			func(c *Config) { c.EIP.AttemptTimeout, c.EIP.ConfirmTimeout = 500*time.Millisecond, time.Second },
			"eip.attempt_timeout: restart, eip.confirm_timeout: restart"},
		{"a confirm_timeout that both allow", func(c *Config) { c.EIP.AttemptTimeout, c.EIP.ConfirmTimeout = 500*time.Millisecond, 4*time.Second },
			"eip.attempt_timeout: restart, eip.confirm_timeout: live"},
		{"a node that becomes a witness keeps its checks until then",
			func(c *Config) { c.Nodes[0].Witness, c.Health, c.Log.Level = true, Health{}, "debug" },
			"nodes: restart, health.process: restart, health.stats: restart, health.http: restart, log.level: live"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := parseExample(t), parseExample(t)
			before.Node, after.Node = before.Nodes[0].Name, after.Nodes[0].Name
			after.Nodes = slices.Clone(after.Nodes)
			tt.change(&after)
			for name, c := range map[string]Config{"before": before, "after": after, "taken": Take(before, after)} {
				d := &document{lines: map[string]int{}, blamed: map[string]bool{}}
				c.validate(d)
				if len(d.problems) > 0 {
					t.Errorf("%s: %v", name, d.problems)
				}
			}
			wantDiff(t, before, after, tt.want)
		})
	}
}

// wantDiff wants these keys to differ, each with whether it is taken live.
func wantDiff(t *testing.T, before, after Config, want string) {
	t.Helper()
	var got []string
	for _, c := range Diff(before, after) {
		how := "live"
		if c.Restart != "" {
			how = "restart"
		}
		got = append(got, c.Key+": "+how)
	}
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("differ: %q, want %q", text, want)
	}
}

// TestEveryKeyIsSaidToBeLiveOrNot: a new key is not forgotten, and no reason is left behind by one that is gone.
func TestEveryKeyIsSaidToBeLiveOrNot(t *testing.T) {
	unused := restarts()
	var walk func(path string, v reflect.Type)
	walk = func(path string, v reflect.Type) {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		delete(unused, path)
		if v.Kind() == reflect.Struct && isSection(v) {
			fields := fieldsOf(reflect.New(v).Elem())
			for _, key := range fields.keys {
				walk(joinPath(path, key), fields.byKey[key].Type())
			}
		} else if why := reasonFor(path); strings.HasPrefix(why, "nobody has said") {
			t.Errorf("%s: neither live nor restart: list it", path)
		}
	}
	walk("", reflect.TypeFor[Config]())
	for key := range unused {
		t.Errorf("%s is listed and is no key", key)
	}
}
