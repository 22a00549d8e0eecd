package install

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
)

// image makes a machine what Debian's image for EC2 is: with cloud-init, without HAProxy, and with a mirror inside AWS. What is not so: user data
// come from a directory, and there is no disk to grow, no network to set up and nobody to log in.
const image = `
rm -f /etc/resolv.conf /usr/sbin/policy-rc.d; echo 'nameserver 10.0.0.2' >/etc/resolv.conf
cat /usr/local/share/ca-certificates/lab.crt >>/etc/ssl/certs/ca-certificates.crt
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/mirrors; mkdir /etc/apt/sources.list.d /etc/apt/mirrors
echo 'Acquire::http::Proxy "DIRECT";' >/etc/apt/apt.conf.d/99lab
echo 'deb [trusted=yes] http://mirror.lab/ ./' >/etc/apt/sources.list
apt-get update -q
apt-get install -y -q --no-install-recommends cloud-init
dpkg --purge haproxy
echo 'http://cdn-aws.mirror.lab/' >/etc/apt/mirrors/debian.list
echo 'deb [trusted=yes] mirror+file:/etc/apt/mirrors/debian.list ./' >/etc/apt/sources.list
cat >/etc/cloud/cloud.cfg.d/99_lab.cfg <<'EOF'
datasource_list: [NoCloud]
network: {config: disabled}
locale: C.UTF-8
ssh_deletekeys: false
ssh_genkeytypes: [ed25519]
EOF
mkdir -p /var/lib/cloud/seed/nocloud
`

// makeImage makes the image that all machines begin as from now on.
func (c *cloud) makeImage() {
	c.t.Helper()
	m := c.boot("image", "/bin/sleep", "infinity")
	c.attach(m, "10.0.0.30/24")
	m.write("/usr/local/share/ca-certificates/lab.crt", c.web.pem)
	m.run(image)
	must(c.t, m.host.Kill())
	c.image, c.machines = m.disk, nil
}

// launch boots the machines as EC2 does: under names made of their addresses, with user data that the module has compressed.
func (c *cloud) launch(userData func(node string) string) {
	c.t.Helper()
	for i, m := range c.bootThree() {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write([]byte(userData(m.name)))
		must(c.t, errors.Join(err, w.Close()))
		m.write("/var/lib/cloud/seed/nocloud/user-data", packed.String())
		m.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: "+instanceID(i+1)+"\n")
		name := "ip-" + strings.ReplaceAll(nodeAddress(i+1).String(), ".", "-")
		m.run("hostname " + name + "; echo " + name + " >/etc/hostname")
	}
}

// runCloudInit runs it on all machines at once.
func (c *cloud) runCloudInit() {
	c.t.Helper()
	var group errgroup.Group
	for _, m := range c.machines {
		group.Go(func() error {
			if err := m.runCloudInit(); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		c.tellCloudInit()
		c.t.Fatalf("cloud-init: %v", err)
	}
}

// runCloudInit starts what starts it at boot, and waits for its end.
func (m *machine) runCloudInit() error {
	// Its generator is to look for user data again: at boot there were none.
	if out, err := m.try("rm -rf /run/cloud-init; systemctl daemon-reload; systemctl start cloud-init.target"); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	out, err := m.try("cloud-init status --wait --long; cat /run/cloud-init/result.json; cloud-init schema --system --annotate")
	if err == nil && (!strings.Contains(out, "status: done") || !strings.Contains(out, `"errors": []`)) {
		err = errors.New("not all was done")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (c *cloud) tellCloudInit() {
	for _, m := range c.machines {
		out, _ := m.try("tail -n 60 /var/log/cloud-init-output.log; grep -e WARNING -e ERROR -e Traceback /var/log/cloud-init.log | tail -n 20")
		c.t.Logf("%s:\n%s", m.name, out)
	}
}
