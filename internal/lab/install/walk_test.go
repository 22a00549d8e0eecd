package install

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// An operator's key.
const (
	personsKey, personsSecret = "AKIALABPERSON0000001", "a secret of the lab"

	plainEC2Port = 8081
)

// awsStandIn is the aws command before the emulator of EC2: that has no instances to stop and no Run Command. PIDS is a list of cases.
const awsStandIn = `#!/bin/bash
set -e
pid_of() { case $1 in
PIDS
esac; }
on() { nsenter --target "$(pid_of "$1")" --all --root --wdns=/root -- /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c "$2"; }
args=("$@")
while [ $# -gt 0 ]; do
  case $1 in
  --instance-ids) id=$2 ;;
  --command-id) command=$2 ;;
  --parameters) script=$(jq -r '.commands[0]' <<<"$2") ;;
  esac
  shift
done
case "${args[0]} ${args[1]}" in
"ssm send-command") out=$(mktemp "$WORK/command.XXXX"); on "$id" "$script" >"$out" 2>&1; basename "$out" ;;
"ssm get-command-invocation") cat "$WORK/$command" ;;
"ssm wait" | "ec2 wait" | "ec2 release-address" | "ec2 delete-network-interface") ;;
"ec2 allocate-address") echo eipalloc-0fedcba9876543210 ;;
"ec2 create-network-interface") echo eni-0fedcba9876543210 ;;
"ec2 stop-instances") on "$id" "systemctl kill --signal=KILL hacluster haproxy; systemctl stop hacluster haproxy" ;;
"ec2 start-instances") on "$id" "systemctl start haproxy hacluster" ;;
*) exec /usr/bin/aws --endpoint-url ENDPOINT "${args[@]}" ;;
esac
`

// isWalked runs failover.sh, the lab's own test on AWS, against this cluster: HAProxy stopped, the holder's instance stopped, the address moved by hand.
// facts.sh, which it begins with, is run by internal/tfcheck.
func (c *cloud) isWalked() {
	c.settled()
	for _, m := range c.machines {
		m.run(`sed -i 's/^eip:$/&\n  observe_interval: 10s/' /etc/hacluster/hacluster.yaml; systemctl reload hacluster`) // not a minute
	}
	c.serve(ec2Address, plainEC2Port, nil, c.ec2.EC2())
	work := c.t.TempDir()
	bin, scripts := c.standIns(work), filepath.Join(work, "lab/test")
	must(c.t, os.CopyFS(scripts, os.DirFS(terraform+"/examples/lab/test")))
	must(c.t, os.WriteFile(filepath.Join(scripts, "facts.sh"), []byte("#!/bin/sh\n"), 0o700))
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(scripts, "failover.sh"))
	cmd.Env = []string{"PATH=" + bin + ":/usr/sbin:/usr/bin:/sbin:/bin", "WORK=" + work, "HOME=" + work, "PATIENCE=60",
		"AWS_ACCESS_KEY_ID=" + personsKey, "AWS_SECRET_ACCESS_KEY=" + personsSecret, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("failover.sh: %v\n%s", err, out)
	}
	for _, what := range []string{`HAProxy stopped on lb-\d`, `instance of lb-\d killed`, `moved by hand from lb-\d to lb-\d`} {
		line := regexp.MustCompile(what + ` +holder now lb-\d +longest gap +\d+\.\d+ s  requests lost \d+\n`).Find(out)
		if line == nil {
			c.t.Errorf("no result of %q in\n%s", what, out)
		}
		c.t.Logf("%s", line)
	}
	c.settled()
}

// standIns makes the commands that failover.sh calls, where those of the system would not do.
func (c *cloud) standIns(work string) (bin string) {
	c.t.Helper()
	var pids strings.Builder
	nodes := map[string]any{}
	for i, m := range c.machines {
		fmt.Fprintf(&pids, "%s) echo %d ;;\n", instanceID(i+1), m.host.Pid())
		nodes[m.name] = map[string]any{"interface_id": interfaceID(i + 1), "instance_id": instanceID(i + 1), "subnet_id": "subnet-1", "witness": false}
	}
	outputs, err := json.Marshal(nodes)
	must(c.t, err)
	endpoint := fmt.Sprintf("http://%s:%d", netip.MustParsePrefix(ec2Address).Addr(), plainEC2Port)
	aws := strings.NewReplacer("PIDS\n", pids.String(), "ENDPOINT", endpoint)
	bin = filepath.Join(work, "bin")
	must(c.t, os.Mkdir(bin, 0o700))
	for name, text := range map[string]string{
		"aws": aws.Replace(awsStandIn),
		"terraform": fmt.Sprintf("#!/bin/sh\ncase $3 in\nregion) echo %s ;;\npublic_ip) echo %s ;;\nallocation_id) echo %s ;;\nnodes) echo '%s' ;;\nesac\n",
			region, elasticIP, allocation, outputs),
		"curl":  fmt.Sprintf("#!/bin/sh\nexec nsenter --target %d --net -- /usr/bin/curl \"$@\"\n", c.client.Pid()),
		"sleep": "#!/bin/sh\ncase $1 in 10 | 3) set -- 1 ;; 1) set -- 0.3 ;; esac\nexec /bin/sleep \"$@\"\n", // long pauses are for EC2
	} {
		must(c.t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700))
	}
	return bin
}
