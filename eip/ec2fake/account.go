package ec2fake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// account is the state: who has which address. It is plain data; the Server locks it.
type account struct {
	addresses []*address
	instances []*instance
	made      int64 // association ids made so far
}

type address struct {
	AddressSpec
	now     *association // nil: free
	history []past       // what was before each change, oldest first
}

// association is never changed once made.
type association struct {
	id string
	to *instance
	ip netip.Addr
}

// past is the association that a change ended (nil: none) and when.
type past struct {
	until time.Time
	was   *association
}

// maxHistory bounds what stale reads can reach back to.
const maxHistory = 256

type instance struct {
	InstanceSpec
	mac        string
	terminated bool
}

func newAccount(cfg Config) account {
	var a account
	for _, spec := range cfg.Addresses {
		a.addresses = append(a.addresses, &address{AddressSpec: spec})
	}
	for _, spec := range cfg.Instances {
		a.launch(cfg, spec)
	}
	return a
}

// launch adds an instance.
func (a *account) launch(cfg Config, spec InstanceSpec) {
	if spec.AZ == "" {
		spec.AZ = cfg.Region + "a"
	}
	if spec.Launched.IsZero() {
		spec.Launched = cfg.Now()
	}
	n := len(a.instances)
	a.instances = append(a.instances, &instance{InstanceSpec: spec, mac: fmt.Sprintf("0a:00:00:00:%02x:%02x", n/256, n%256)})
}

// terminate ends an instance, and frees its addresses.
func (a *account) terminate(i *instance, now time.Time) []Change {
	i.terminated = true
	var changes []Change
	for _, addr := range a.addresses {
		if addr.now != nil && addr.now.to == i {
			changes = append(changes, addr.set(nil, now))
		}
	}
	return changes
}

// running returns the instance if it is there.
func running(i *instance) *instance {
	if i == nil || i.terminated {
		return nil
	}
	return i
}

// at returns the association at time t: the one that the first change after t ended, or today's.
func (a *address) at(t time.Time) *association {
	for _, p := range a.history {
		if p.until.After(t) {
			return p.was
		}
	}
	return a.now
}

func (a *address) set(to *association, now time.Time) Change {
	c := Change{Time: now, AllocationID: a.AllocationID, PublicIP: a.PublicIP}
	if old := a.now; old != nil {
		c.OldAssociationID, c.OldPrivateIP, c.OldInstance = old.id, old.ip, old.to.ID
	}
	if to != nil {
		c.NewAssociationID, c.NewPrivateIP, c.NewInstance = to.id, to.ip, to.to.ID
	}
	if len(a.history) == maxHistory {
		a.history = slices.Delete(a.history, 0, maxHistory/2)
	}
	a.history = append(a.history, past{until: now, was: a.now})
	a.now = to
	return c
}

// associate moves an address. It is idempotent: where the address already is, it stays under its id. An address that the
// target had before becomes free. Without reassociate neither may be taken from anyone.
func (a *account) associate(addr *address, to *instance, ip netip.Addr, reassociate bool, now time.Time) (string, []Change, *apiError) {
	if addr.now != nil && addr.now.ip == ip {
		return addr.now.id, nil, nil
	}
	other := a.withPrivate(ip)
	if !reassociate {
		if addr.now != nil {
			return "", nil, errAssociated(addr.AllocationID, addr.now.id)
		}
		if other != nil {
			return "", nil, errAssociated(to.ENI, other.now.id)
		}
	}
	var changes []Change
	if other != nil {
		changes = append(changes, other.set(nil, now))
	}
	a.made++
	next := &association{id: hexID("eipassoc", a.made), to: to, ip: ip}
	return next.id, append(changes, addr.set(next, now)), nil
}

func errAssociated(resource, id string) *apiError {
	return errClient("Resource.AlreadyAssociated", "resource "+resource+" is already associated with associate-id "+id)
}

// hexID makes an EC2 id of 17 hex digits that looks random and is not.
func hexID(prefix string, n int64) string {
	return prefix + "-0" + digest(prefix, n)[:16]
}

func digest(kind string, n int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, n))
	return hex.EncodeToString(sum[:])
}

func find[T any](list []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

func (a *account) byAllocation(id string) *address {
	return find(a.addresses, func(x *address) bool { return x.AllocationID == id })
}

func (a *account) byPublic(ip string) *address {
	return find(a.addresses, func(x *address) bool { return x.PublicIP.String() == ip })
}

func (a *account) byAssociation(id string) *address {
	return find(a.addresses, func(x *address) bool { return x.now != nil && x.now.id == id })
}

// withPrivate returns the address that is associated with a private address.
func (a *account) withPrivate(ip netip.Addr) *address {
	return find(a.addresses, func(x *address) bool { return x.now != nil && x.now.ip == ip })
}

func (a *account) byInstance(id string) *instance {
	return find(a.instances, func(x *instance) bool { return x.ID == id })
}

func (a *account) byENI(id string) *instance {
	return running(find(a.instances, func(x *instance) bool { return x.ENI == id }))
}

func (a *account) ownerOf(private netip.Addr) *instance {
	return find(a.instances, func(x *instance) bool { return !x.terminated && slices.Contains(x.PrivateIPs, private) })
}

// bySource returns the instance that a request from ip comes from: ip is its own, or its Elastic IP if it came by the
// internet gateway.
func (a *account) bySource(ip netip.Addr) *instance {
	if x := find(a.addresses, func(x *address) bool { return x.now != nil && x.PublicIP == ip }); x != nil {
		return x.now.to
	}
	return find(a.instances, func(x *instance) bool {
		return !x.terminated && (slices.Contains(x.PrivateIPs, ip) || slices.Contains(x.SourceIPs, ip))
	})
}
