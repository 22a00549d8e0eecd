package config

import "net/netip"

// HTTP is where the agent's pages are: metrics, probes and status, for reading only.
type HTTP struct {
	Listen netip.AddrPort `yaml:"listen"` // invalid: nowhere
}

func (h HTTP) validate(d *document) {
	if h.Listen.IsValid() && h.Listen.Port() == 0 {
		d.report("http.listen", "port 0 is another one at each start", "write one from 1 to 65535, or \"\" to do without the pages")
	}
}

// open reports whether others than this machine may reach the pages.
func (h HTTP) open() bool { return h.Listen.IsValid() && !h.Listen.Addr().IsLoopback() }
