package script

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// summary prints what was read, one thing on each line, with its line number.
func summary(n Notify) string {
	var b strings.Builder
	values := func(name string, values []Value) {
		for _, v := range values {
			fmt.Fprintf(&b, "%s %s:%d\n", name, v.Text, v.Line)
		}
	}
	numbers := func(name string, lines []int) {
		for _, line := range lines {
			fmt.Fprintf(&b, "%s:%d\n", name, line)
		}
	}
	if n.Searched {
		b.WriteString("searched\n")
	}
	numbers("associate", n.Associates)
	numbers("disassociate", n.Disassociates)
	values("allocation", n.Allocations)
	values("public", n.PublicIPs)
	values("instance", n.Instances)
	values("interface", n.Interfaces)
	values("private", n.PrivateIPs)
	values("region", n.Regions)
	values("endpoint", n.Endpoints)
	values("profile", n.Profiles)
	values("mentioned", n.Mentioned)
	values("call", n.OtherCalls)
	numbers("IMDSv1", n.MetadataV1)
	numbers("key", n.Keys)
	values("other", n.Others)
	return b.String()
}

func lines(text ...string) string { return strings.Join(text, "\n") + "\n" }

// TestReadNotify: scripts as they are found in the field.
func TestReadNotify(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"variables and quotes": {
			lines("#!/bin/bash", `EIP="198.51.100.7"`, "I='i-0123456789abcdef0'", "", "/usr/local/bin/aws ec2 disassociate-address --public-ip $EIP",
				`/usr/local/bin/aws ec2 associate-address --public-ip "${EIP}" --instance-id ${I}`),
			lines("associate:6", "disassociate:5", "public 198.51.100.7:5", "instance i-0123456789abcdef0:6"),
		},
		"carriage returns": {
			"#!/bin/bash\r\nA=eipalloc-12345678\r\naws ec2 associate-address --allocation-id $A --instance-id i-12345678\r\n",
			lines("associate:3", "allocation eipalloc-12345678:3", "instance i-12345678:3", "mentioned eipalloc-12345678:2"),
		},
		"one line": {
			"aws ec2 associate-address --region eu-west-3 --allocation-id eipalloc-12345678 --network-interface-id eni-12345678 --private-ip-address 10.0.0.9;exit 0",
			lines("associate:1", "allocation eipalloc-12345678:1", "interface eni-12345678:1", "private 10.0.0.9:1", "region eu-west-3:1", "mentioned eipalloc-12345678:1"),
		},
		"a command in a variable, an equals sign, a continued line": {
			lines(`AWS="aws --profile ha --endpoint-url http://10.0.0.1:8080 ec2 --region us-east-1"`, `if ! $AWS associate-address \`,
				"  --allocation-id=eipalloc-12345678 --allow-reassociation \\", "  --instance-id=`curl -s http://169.254.169.254/latest/meta-data/instance-id`", "then", " logger no", "fi"),
			lines("associate:2", "allocation eipalloc-12345678:2", "region us-east-1:2", "endpoint http://10.0.0.1:8080:2", "profile ha:2",
				"mentioned eipalloc-12345678:3", "IMDSv1:4"),
		},
		"defaults and the environment": {
			lines("export AWS_DEFAULT_REGION=eu-central-1", `aws ec2 associate-address --allocation-id "${ALLOC:-eipalloc-0123456789abcdef0}" --instance-id $1`),
			lines("associate:2", "allocation eipalloc-0123456789abcdef0:2", "region eu-central-1:1", "mentioned eipalloc-0123456789abcdef0:2"),
		},
		"IMDSv2": {
			lines(`T=$(curl -X PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 60")`,
				`I=$(curl -H "X-aws-ec2-metadata-token: $T" http://169.254.169.254/latest/meta-data/instance-id)`, "aws ec2 associate-address --allocation-id eipalloc-12345678 --instance-id $I"),
			lines("associate:3", "allocation eipalloc-12345678:3", "mentioned eipalloc-12345678:3"),
		},
		"branches, a function, and the state as an argument": {
			lines("say() { logger -t ha \"$@\"; }", `case "$3" in`, `  MASTER|master)`, "    say taking", "    aws ec2 associate-address --allocation-id eipalloc-12345678 --instance-id x",
				"    ;;", "  BACKUP) say $3 ;;", "  *) exit 1 ;;", "esac"),
			lines("associate:5", "allocation eipalloc-12345678:5", "mentioned eipalloc-12345678:5"),
		},
		"Amazon's older tools": {
			lines("ec2-associate-address -O AKIAIOSFODNN7EXAMPLE -W wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY --region eu-west-1 -a eipalloc-12345678 -i i-12345678", "ec2disaddr 198.51.100.7"),
			lines("associate:1", "disassociate:2", "allocation eipalloc-12345678:1", "public 198.51.100.7:2", "instance i-12345678:1", "region eu-west-1:1", "mentioned eipalloc-12345678:1", "key:1"),
		},
		"other things": {
			lines("# aws ec2 associate-address --allocation-id eipalloc-99999999", "mail -s hi ops@example.com </dev/null", "curl https://chat.example.com/hook",
				"aws sns publish --message x", "aws ec2 replace-route --route-table-id rtb-12345678", "aws_secret_access_key = abcdefghijklmnopqrstuvwxyz", "cat <<END", "rm -rf /", "END"),
			lines("call aws ec2 replace-route:5", "key:6", "other mail:2", "other curl:3", "other aws sns:4", "other aws_secret_access_key:6"),
		},
		"python": {
			lines("#!/usr/bin/python", "import boto3", `c = boto3.client('ec2', region_name='eu-west-1')`, `c.disassociate_address(PublicIp='198.51.100.7')`,
				`c.associate_address(AllocationId="eipalloc-12345678")`),
			lines("searched", "associate:5", "disassociate:4", "public 198.51.100.7:4", "region eu-west-1:3", "mentioned eipalloc-12345678:5"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, summary(ReadNotify(c.script))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestBound: what a script can make of a word, or of substitutions in one another, has an end.
func TestBound(t *testing.T) {
	grow := "A=0123456789\n" + strings.Repeat("A=$A$A\n", 40) + "echo $A\n"
	for _, c := range Parse(grow + strings.Repeat("$(", 5000)) {
		for _, w := range c.Words {
			if len(w.Text) > maxWord {
				t.Fatalf("a word of %d bytes", len(w.Text))
			}
		}
	}
}

// TestOnlyMovesAddress: a script that does anything else is not given up.
func TestOnlyMovesAddress(t *testing.T) {
	const call = "aws ec2 associate-address --allocation-id eipalloc-12345678 --instance-id i-12345678\n"
	for script, want := range map[string]bool{
		call: true,
		"set -e\nlogger hi; sleep 1\nA=$(cat /etc/hostname | cut -d. -f1)\n" + call + "[ $? = 0 ] && echo done >> /var/log/ha.log\n": true,
		"":                                  false,
		"logger hi\n":                       false,
		call + "mail ops@example.com\n":     false,
		call + "systemctl reload haproxy\n": false,
		call + "X=$(curl https://chat.example.com/hook)\n":                   false,
		call + "OUT=$(systemctl reload haproxy 2>&1)\n":                      false,
		call + "IP=$(ip -4 addr show eth0 | awk '{print $2}')\n":             true,
		call + "echo MASTER > /run/keepalived.state\n":                       false,
		call + "echo MASTER | tee /run/keepalived.state\n":                   false,
		call + "date | tee -a /var/log/ha.log >/dev/null\n":                  true,
		call + "sed -i s/a/b/ /etc/haproxy/haproxy.cfg\n":                    false,
		call + "echo haproxy | xargs systemctl restart\n":                    false,
		call + "trap 'systemctl stop haproxy' EXIT\n":                        false,
		call + "aws ec2 assign-private-ip-addresses --private-ip 10.0.0.9\n": false,
		"#!/usr/bin/perl\n" + call:                                           false,
	} {
		if got := ReadNotify(script).OnlyMovesAddress(); got != want {
			t.Errorf("%q: %t, want %t", script, got, want)
		}
	}
}
