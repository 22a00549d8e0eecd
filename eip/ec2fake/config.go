package ec2fake

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// Config describes the account that the Server emulates.
type Config struct {
	Region    string // default eu-central-1
	Account   string // twelve digits; default 123456789012
	Addresses []AddressSpec
	Instances []InstanceSpec
	// AccessKeys are long-lived keys. Role credentials are made by the IMDS part.
	AccessKeys []AccessKey
	// Role is the name of the role in every instance profile; default hacluster.
	Role string
	// SessionLifetime is how long role credentials live; default 6 h.
	SessionLifetime time.Duration

	// Now is the clock of signatures, buckets, tokens and stale reads; default time.Now. Injected delays are real time.
	Now func() time.Time
	// FaultsOf returns faults of one call, in addition to those of SetFaults. It is called on receipt of the request, after Call
	// got its number and before anything is done. Nil: none.
	FaultsOf func(*http.Request, Call) []Fault
	// Log receives each Call, when it is over, as one line of JSON. Writes are serialised. Nil: no log.
	Log io.Writer
	// OnChange is called for each change of an association, in the order of the changes, before the call that made it is
	// answered and before the next change is made. It must not change an association itself. Nil: nobody is told.
	OnChange func(Change)
}

// AddressSpec is one Elastic IP of the account.
type AddressSpec struct {
	AllocationID string // eipalloc-...
	PublicIP     netip.Addr
	Tags         map[string]string
}

// InstanceSpec is one running instance with one network interface.
type InstanceSpec struct {
	ID         string       // i-...
	ENI        string       // eni-...
	PrivateIPs []netip.Addr // the first one is the primary
	AZ         string       // default: the region's a
	Tags       map[string]string
	Launched   time.Time // default: when the Server was made, or Launch was called
	// SourceIPs are further addresses that the instance's requests may come from, for a machine that is not really its own.
	SourceIPs []netip.Addr
}

// AccessKey is a key that requests are signed with. Token is empty for long-lived keys.
type AccessKey struct {
	ID     string
	Secret string
	Token  string
}

// Change is one change of one Elastic IP's association. Invalid addresses and empty ids mean "none": of the Old ones, that
// it was free, of the New ones, that it is free now.
type Change struct {
	Time             time.Time
	AllocationID     string
	PublicIP         netip.Addr
	OldAssociationID string
	NewAssociationID string
	OldPrivateIP     netip.Addr
	NewPrivateIP     netip.Addr
	OldInstance      string
	NewInstance      string
	// Seq is the number of the Call that made the change, 0 if it was made through Control or Server.Associate.
	Seq int64
}

func (cfg Config) withDefaults() Config {
	if cfg.Region == "" {
		cfg.Region = "eu-central-1"
	}
	if cfg.Account == "" {
		cfg.Account = "123456789012"
	}
	if cfg.Role == "" {
		cfg.Role = "hacluster"
	}
	if cfg.SessionLifetime == 0 {
		cfg.SessionLifetime = 6 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// validate returns everything that is wrong at once.
func (cfg Config) validate() error {
	var errs []error
	seen := make(map[string]bool)
	unique := func(kind, id string) {
		switch {
		case id == "" || id == "invalid IP":
			errs = append(errs, fmt.Errorf("%s: empty", kind))
		case seen[kind+id]:
			errs = append(errs, fmt.Errorf("%s %s: used twice", kind, id))
		}
		seen[kind+id] = true
	}
	for _, a := range cfg.Addresses {
		unique("allocation id", a.AllocationID)
		unique("public address", a.PublicIP.String())
	}
	for _, i := range cfg.Instances {
		unique("instance id", i.ID)
		unique("network interface", i.ENI)
		if len(i.PrivateIPs) == 0 {
			errs = append(errs, fmt.Errorf("instance %s: no private address", i.ID))
		}
		for _, ip := range i.PrivateIPs {
			unique("private address", ip.String())
		}
	}
	for _, k := range cfg.AccessKeys {
		unique("access key", k.ID)
	}
	return errors.Join(errs...)
}
