package vrrpaudit

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/vrrpwire"
)

// settings are what a receiver compares with its own. "" is not known.
type settings struct {
	version   string
	interval  string
	auth      string
	password  string // compared and never shown
	addresses string
	checksum  string // of VRRPv3 over IPv4, where there is a choice
}

// The kinds of authentication as reports show them.
const (
	authNone = "none"
	authPass = "PASS"
	authAH   = "AH"
	authHMAC = "HMAC"
)

const noAddresses = "none"

func settingsOf(d vrrpwire.Decoded) settings {
	s := settings{version: fmt.Sprint(d.Version), interval: d.Interval.String(), auth: authName(d), addresses: joinAddresses(d.Addresses)}
	if d.Auth.Type == vrrpwire.AuthPass {
		s.password = string(d.Auth.Key[:])
	}
	if d.Version == vrrpwire.Version3 && d.Checksum != vrrpwire.FormNone {
		s.checksum = string(d.Checksum)
	}
	return s
}

// settingsBehindAH believes the header of a message that nobody verified.
func settingsBehindAH(message []byte) settings {
	v, ok := hear(message)
	if !ok {
		return settings{}
	}
	return settings{version: fmt.Sprint(v.version), interval: v.interval.String(), auth: authAH}
}

func authName(d vrrpwire.Decoded) string {
	switch {
	case d.Trailer != nil:
		return authHMAC
	case d.Auth.Type == vrrpwire.AuthNone:
		return authNone
	case d.Auth.Type == vrrpwire.AuthPass:
		return authPass
	case d.Auth.Type == vrrpwire.AuthAH:
		return authAH
	default:
		return fmt.Sprint(d.Auth.Type)
	}
}

func joinAddresses(addresses []netip.Addr) string {
	if len(addresses) == 0 {
		return noAddresses
	}
	sorted := slices.SortedFunc(slices.Values(addresses), netip.Addr.Compare)
	words := make([]string, len(sorted))
	for i, a := range sorted {
		words[i] = a.String()
	}
	return strings.Join(words, " ")
}

// list returns the addresses; nil if they are not known.
func (s settings) list() []string {
	switch s.addresses {
	case "":
		return nil
	case noAddresses:
		return []string{}
	default:
		return strings.Fields(s.addresses)
	}
}

// attribute is one setting that the senders of a virtual router must agree on.
type attribute struct {
	kind Kind
	name string
	of   func(settings) string
}

func attributes() []attribute {
	return []attribute{
		{VersionMismatch, "version", func(s settings) string { return s.version }},
		{IntervalMismatch, "interval", func(s settings) string { return s.interval }},
		{AuthMismatch, "authentication", func(s settings) string { return s.auth }},
		{PasswordMismatch, "password", func(s settings) string { return s.password }},
		{AddressMismatch, "addresses", func(s settings) string { return s.addresses }},
		{ChecksumMismatch, "checksum", func(s settings) string { return s.checksum }},
	}
}

// observe takes note of what a sender's advert says, and of changes.
func (r *router) observe(s *sender, now settings, at time.Time) {
	before := s.settings
	s.settings = now
	if before == (settings{}) || before == now {
		return
	}
	var changes []string
	for _, a := range attributes() {
		was, is := a.of(before), a.of(now)
		switch {
		case was == is || was == "" || is == "":
		case a.kind == PasswordMismatch:
			changes = append(changes, "another password") // which one is no business of a report
		default:
			changes = append(changes, fmt.Sprintf("%s %s, was %s", a.name, is, was))
		}
	}
	if len(changes) > 0 {
		r.findings.happen(Event{Kind: Changed, At: at, From: s.addr, Detail: strings.Join(changes, "; ")})
	}
}

// mismatches compares what each sender said last.
func (r *router) mismatches() []Problem {
	var problems []Problem
	for _, a := range attributes() {
		groups := make(map[string][]netip.Addr)
		v2 := false
		for _, s := range r.senders {
			if value := a.of(s.settings); value != "" {
				groups[value] = append(groups[value], s.addr)
				v2 = v2 || s.settings.version == "2"
			}
		}
		if len(groups) < 2 {
			continue
		}
		kind := a.kind
		if kind == IntervalMismatch && !v2 {
			kind = IntervalDifference
		}
		problems = append(problems, Problem{Kind: kind, Detail: describeGroups(a, groups), Count: len(groups)})
	}
	return problems
}

// describeGroups lists a few senders for each of a few values.
func describeGroups(a attribute, groups map[string][]netip.Addr) string {
	const most = 8
	values := slices.Collect(maps.Keys(groups))
	for _, senders := range groups {
		slices.SortFunc(senders, netip.Addr.Compare)
	}
	slices.SortFunc(values, func(x, y string) int { return groups[x][0].Compare(groups[y][0]) })
	var parts []string
	for i, value := range values[:min(most, len(values))] {
		senders := groups[value]
		who := joinAddresses(senders[:min(most, len(senders))])
		if len(senders) > most {
			who += fmt.Sprintf(" and %d more", len(senders)-most)
		}
		if a.kind == PasswordMismatch {
			value = fmt.Sprintf("password %d", i+1)
		}
		parts = append(parts, fmt.Sprintf("%s: %s", who, value))
	}
	if len(values) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(values)-most))
	}
	return strings.Join(parts, "; ")
}
