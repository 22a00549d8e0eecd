package script

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestReadCheck: what people write to ask after a process, a port or a page.
func TestReadCheck(t *testing.T) {
	haproxy := Check{Kind: Process, Name: "haproxy"}
	for text, want := range map[string]Check{
		"pidof haproxy":         haproxy,
		"/bin/pidof -s haproxy": haproxy,
		"/usr/sbin/pidof /usr/sbin/haproxy >/dev/null 2>&1": haproxy,
		"killall -0 haproxy":                                                   haproxy,
		"/usr/bin/killall -q -0 haproxy":                                       haproxy,
		"killall -s 0 haproxy":                                                 haproxy,
		"/usr/bin/timeout 2 /usr/bin/killall -0 haproxy":                       haproxy,
		"sudo -n pgrep -x haproxy":                                             haproxy,
		"pgrep haproxy &>/dev/null || exit 1":                                  haproxy,
		"pgrep -u haproxy -f haproxy":                                          haproxy,
		"systemctl is-active --quiet haproxy":                                  haproxy,
		"/bin/systemctl -q is-active haproxy.service":                          haproxy,
		"service haproxy status":                                               haproxy,
		"/etc/init.d/haproxy status > /dev/null":                               haproxy,
		"/bin/bash -c 'pidof haproxy || exit 1'":                               haproxy,
		"bash -c \"sh -c 'killall -0 haproxy'\"":                               haproxy,
		"#!/bin/sh\n# is it there?\nNAME=haproxy\nexec /bin/pidof \"$NAME\"\n": haproxy,
		"pidof haproxy; exit $?":                                               haproxy,
		"pidof a-name-that-is-too-long":                                        {Kind: Process, Name: "a-name-that-is-"},
		"kill -0 $(cat /run/haproxy.pid)":                                      {Kind: Process, Name: "haproxy", PIDFile: "/run/haproxy.pid"},
		"kill -0 `cat /var/run/haproxy.pid`":                                   {Kind: Process, Name: "haproxy", PIDFile: "/var/run/haproxy.pid"},
		"</dev/tcp/127.0.0.1/80":                                               {Kind: TCP, Address: "127.0.0.1:80"},
		"bash -c '</dev/tcp/localhost/443'":                                    {Kind: TCP, Address: "localhost:443"},
		"bash -c 'exec 3<>/dev/tcp/10.0.0.1/9'":                                {Kind: TCP, Address: "10.0.0.1:9"},
		"(echo > /dev/tcp/::1/80) &>/dev/null":                                 {Kind: TCP, Address: "[::1]:80"},
		"nc -z localhost 80":                                                   {Kind: TCP, Address: "localhost:80"},
		"/bin/nc -zvw2 10.0.0.4 8080":                                          {Kind: TCP, Address: "10.0.0.4:8080", Timeout: 2 * time.Second},
		"curl -f http://localhost/":                                            {Kind: HTTP, URL: "http://localhost/", Status: "200-399"},
		"curl -s localhost:8080/up":                                            {Kind: HTTP, URL: "http://localhost:8080/up", Status: "100-599"},
		"/usr/bin/curl -sSfkm.5 -H 'Host: www.example.com' -o /dev/null http://10.0.0.4": {
			Kind: HTTP, URL: "http://10.0.0.4/", Host: "www.example.com", Status: "200-399", Timeout: 500 * time.Millisecond,
		},
		"curl --silent --fail --max-time 3 --connect-timeout 1 'http://127.0.0.1/?a=b&c=d'": {
			Kind: HTTP, URL: "http://127.0.0.1/?a=b&c=d", Status: "200-399", Timeout: 3 * time.Second,
		},
		"wget -q --spider -T 2 -t 1 http://localhost/":                            {Kind: HTTP, URL: "http://localhost/", Status: "200-399", Timeout: 2 * time.Second},
		"wget -qO- http://localhost/ >/dev/null":                                  {Kind: HTTP, URL: "http://localhost/", Status: "200-399"},
		`echo "show info" | socat unix-connect:/run/haproxy.sock,crlf stdio`:      {Kind: Stats, Socket: "/run/haproxy.sock"},
		`echo 'show stat' | socat /run/haproxy.sock - | grep -q Uptime || exit 1`: {Kind: Stats, Socket: "/run/haproxy.sock"},
	} {
		got, ok := ReadCheck(text)
		if !ok {
			t.Errorf("%s: not understood", text)
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Check{}, "Changes")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestReadCheckLeavesAlone: what is not understood completely is not understood at all.
func TestReadCheckLeavesAlone(t *testing.T) {
	for _, text := range []string{
		"", "/etc/keepalived/check.sh", "/etc/keepalived/check.sh -v", "exit 0", "true",
		"! pidof haproxy", "if pidof haproxy; then exit 1; fi", "pidof haproxy || true", "pidof haproxy || exit 0", "pidof haproxy && exit 1",
		"pidof haproxy; exit 0", "pidof haproxy || pidof nginx", "pidof haproxy && pidof nginx", "pidof haproxy nginx", "pidof haproxy &",
		"pidof -o 1 haproxy", "pidof \"$NAME\"", "pidof haproxy > /run/pids", "killall haproxy", "killall -9 haproxy", "pgrep -v haproxy",
		"pgrep 'hapr.*'", "pgrep hapr", "pgrep -f haproxy.cfg", "systemctl is-active haproxy-edge", "service lb status", "kill -0 $(cat /run/edge.pid)",
		"systemctl restart haproxy", "systemctl is-active a b", "kill -0 1", "kill -9 $(cat /run/haproxy.pid)", "kill -0 $(cat $F)",
		"curl https://localhost/", "curl -u a:b http://localhost/", "curl -d x http://localhost/", "curl http://a/ http://b/", "curl --retry 3 http://a/",
		"curl -s http://a/ | grep ok", "curl -H 'X-A: b' -H 'Host: c' http://a/", "curl -X POST http://a/", "curl", "curl -m", "curl http://user:pw@a/",
		"wget --post-data x http://a/", "nc localhost 80", "nc -z localhost", "nc -uz localhost 80", "nc -z localhost 0", "nc -z localhost 65536", "curl -f http://localhost:99999/", "nc -z localhost 80-90", "nc -zw",
		"echo show info | socat tcp:1.2.3.4:5 -", "echo help | socat /run/a -", "cat </dev/udp/a/1", "</dev/tcp/a/b", "</dev/tcp/",
		strings.Repeat("sh -c '", 30) + "pidof haproxy",
	} {
		if got, ok := ReadCheck(text); ok {
			t.Errorf("%s: understood as %+v", text, got)
		}
	}
}

// TestChanges: a difference in meaning is told.
func TestChanges(t *testing.T) {
	for text, want := range map[string]string{
		"pgrep haproxy":               "a part of the name",
		"pgrep -f haproxy":            "whole command lines",
		"systemctl is-active haproxy": "restarting counts as down",
		"curl http://localhost/":      "content with every answer",
		"curl -fI http://localhost/":  "GET is sent instead of HEAD",
		"curl -fL http://localhost/":  "redirects are not followed",
		"wget -q http://localhost/":   "redirects are not followed",
	} {
		got, _ := ReadCheck(text)
		if all := strings.Join(got.Changes, "; "); !strings.Contains(all, want) {
			t.Errorf("%s: changes %q do not mention %q", text, all, want)
		}
	}
}

// FuzzScript: whatever the text, reading it ends, and what is understood is complete.
func FuzzScript(f *testing.F) {
	for _, seed := range []string{
		"pidof haproxy || exit 1", "A=$(b \"$c\" `d`) e <<EOF\nf\nEOF\n", "case $1 in a|b) c;; esac", "f() { g; }", "curl -sSfm5 http://a/", "${a:-b}${c#d}$((1+2))",
		"a=(b c)\nfunction d { e; }", "#!/usr/bin/python\nimport boto3", "ec2-associate-address -i i-12345678 1.2.3.4", "aws ec2 associate-address --allocation-id=x",
		"echo show info|socat /run/a -", "kill -0 $(cat /run/a.pid)", "a >&2 2>&1 &>b <(c) <<<d 3<>e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range Parse(text) {
			if c.Line < 1 {
				t.Fatalf("a command without a line: %+v", c)
			}
		}
		n := ReadNotify(text)
		if n.OnlyMovesAddress() && len(n.Associates)+len(n.Disassociates) == 0 {
			t.Error("it moves the address without a call")
		}
		if c, ok := ReadCheck(text); ok && c.Name+c.URL+c.Address+c.Socket == "" {
			t.Errorf("understood as nothing: %+v", c)
		}
	})
}
