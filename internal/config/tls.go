package config

import "fmt"

// TLS names the files that the nodes prove themselves with to one another (docs/TLS.md). They are the same paths on every node, and are
// read again while the agent runs, and so is Revoked.
type TLS struct {
	CA      string   `yaml:"ca"`      // certificates of the certificate authorities that are trusted
	Cert    string   `yaml:"cert"`    // of this node
	Key     string   `yaml:"key"`     // private, of mode 0600
	Revoked []string `yaml:"revoked"` // fingerprints of certificates that are refused
}

func (t *TLS) setDefaults(Profile) {
	*t = TLS{CA: "/etc/hacluster/tls/ca.crt", Cert: "/etc/hacluster/tls/node.crt", Key: "/etc/hacluster/tls/node.key"}
}

// validateTLS demands a decision: whoever has no certificates must say that the port is protected otherwise.
func (c *Config) validateTLS(d *document) {
	switch {
	case c.TLS == nil && !c.Insecure:
		d.report("tls", "is missing: the nodes have nothing to prove themselves with", "make certificates with 'hacluster tls' and write 'tls: {}', "+
			"or write 'insecure: true' and allow the port only inside the security group")
		return
	case c.TLS == nil:
		return
	case c.Insecure:
		d.report("insecure", "is true beside tls, and the nodes can only speak one of the two", "remove one of them")
	}
	d.checkAbsolute("tls.ca", c.TLS.CA)
	d.checkAbsolute("tls.cert", c.TLS.Cert)
	d.checkAbsolute("tls.key", c.TLS.Key)
	for i, fingerprint := range c.TLS.Revoked {
		d.checkMatch(fmt.Sprintf("tls.revoked[%d]", i), fingerprint, `sha256:[0-9a-f]{64}`, "what 'hacluster tls show' says of the certificate")
	}
	d.checkMatch("cluster.name", c.Cluster.Name, namePattern, "a name with a letter or a digit at both ends: it is part of a DNS name in the certificates")
}
