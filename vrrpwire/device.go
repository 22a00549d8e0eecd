package vrrpwire

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// lookEvery is how often a device is looked for again. An interface that is pulled and plugged in comes back under another index, while
// a socket stays bound to the old one: it would be deaf and mute for good.
const lookEvery = time.Second

// device is the interface that the configuration names, or nil if it names none. One goroutine at a time looks; any may ask what was
// found.
type device struct {
	name   string
	handle *netlink.Handle // of its own: a look may wait for a lock of the kernel's, and nobody else should
	index  atomic.Int32    // as last found
	looked time.Time
}

// openDevice finds the interface.
func openDevice(name string) (*device, error) {
	if name == "" {
		return nil, nil
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, explainNetlink(err)
	}
	d := &device{name: name, handle: handle, looked: time.Now()}
	index, err := d.find()
	if err != nil {
		handle.Close()
		return nil, explainFind(err, name)
	}
	d.index.Store(int32(index))
	return d, nil
}

// explainFind names the remedy for what an operator can get wrong.
func explainFind(err error, name string) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("find the interface for VRRP: there is no interface %q on this machine, by name or by address; "+
			"name one that exists, or none to route by source address: %w", name, err)
	}
	return fmt.Errorf("find the interface %q for VRRP: %w", name, err)
}

// current returns the index of the interface, 0 without one.
func (d *device) current() int {
	if d == nil {
		return 0
	}
	return int(d.index.Load())
}

// look finds the interface again if it is time to. One that is gone keeps its index until another takes its place.
func (d *device) look() {
	if d == nil || time.Since(d.looked) < lookEvery {
		return
	}
	d.looked = time.Now()
	if index, err := d.find(); err == nil {
		d.index.Store(int32(index))
	}
}

func (d *device) find() (index int, err error) {
	if network, ok := asNetwork(d.name); ok {
		return d.findByAddress(network)
	}
	link, err := d.handle.LinkByName(d.name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return 0, unix.ENODEV
	}
	if err != nil {
		return 0, err
	}
	return link.Attrs().Index, nil
}

// asNetwork reads 10.0.1.11 or 10.0.0.0/16.
func asNetwork(text string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	network, err := netip.ParsePrefix(text)
	return network, err == nil
}

func (d *device) findByAddress(network netip.Prefix) (index int, err error) {
	addresses, err := d.handle.AddrList(nil, unix.AF_INET)
	if err != nil {
		return 0, err
	}
	for _, a := range addresses {
		switch {
		case !network.Contains(addrOf(a.IP)) || a.LinkIndex == index:
		case index != 0:
			return 0, fmt.Errorf("interfaces number %d and %d both have an address in %v: name one of them", index, a.LinkIndex, network)
		default:
			index = a.LinkIndex
		}
	}
	if index == 0 {
		return 0, unix.ENODEV
	}
	return index, nil
}

func (d *device) close() {
	if d != nil {
		d.handle.Close()
	}
}
