package ec2fake

import (
	"encoding/xml"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

type associateResponse struct {
	XMLName       xml.Name `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ AssociateAddressResponse"`
	RequestID     string   `xml:"requestId"`
	Return        bool     `xml:"return"`
	AssociationID string   `xml:"associationId"`
}

func (s *Server) associateAddress(q query) (any, *apiError) {
	s.effects.Lock()
	defer s.effects.Unlock()
	id, changes, err := s.applyAssociate(q)
	if err != nil {
		return nil, err
	}
	s.effect(q, id, changes)
	return associateResponse{RequestID: requestID(q.call.Seq), Return: true, AssociationID: id}, nil
}

func (s *Server) applyAssociate(q query) (string, []Change, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, err := s.account.addressOf(q.form)
	if err != nil {
		return "", nil, err
	}
	to, ip, err := s.account.targetOf(q.form)
	if err != nil {
		return "", nil, err
	}
	if q.call.DryRun {
		return "", nil, errDryRun()
	}
	// Absent, it is true for an account that has only VPCs.
	allow := q.call.AllowReassociation == nil || *q.call.AllowReassociation
	return s.account.associate(addr, to, ip, allow, s.cfg.Now())
}

// addressOf finds the address that AssociateAddress names.
func (a *account) addressOf(form url.Values) (*address, *apiError) {
	allocation, public := form.Get("AllocationId"), form.Get("PublicIp")
	switch {
	case allocation != "" && public != "":
		return nil, errClient("InvalidParameterCombination", "You may specify public IP or allocation id, but not both in the same call")
	case allocation != "":
		if addr := a.byAllocation(allocation); addr != nil {
			return addr, nil
		}
		return nil, errNoAllocation(allocation)
	case public != "":
		if addr := a.byPublic(public); addr != nil {
			return addr, nil
		}
		return nil, errNoPublic(public)
	default:
		return nil, errMissing("AllocationId")
	}
}

func errNoAllocation(id string) *apiError {
	return errClient("InvalidAllocationID.NotFound", "The allocation ID '"+id+"' does not exist")
}

func errNoPublic(ip string) *apiError {
	if _, err := netip.ParseAddr(ip); err != nil {
		return errClient("InvalidAddress.Malformed", "Invalid IPv4 address: "+ip)
	}
	return errClient("InvalidAddress.NotFound", "Address '"+ip+"' not found.")
}

// targetOf finds the instance and private address that AssociateAddress names.
func (a *account) targetOf(form url.Values) (*instance, netip.Addr, *apiError) {
	id, eni, private := form.Get("InstanceId"), form.Get("NetworkInterfaceId"), form.Get("PrivateIpAddress")
	var to *instance
	switch {
	case id != "" && eni != "":
		return nil, netip.Addr{}, errClient("InvalidParameterCombination", "You may specify instance id or network interface id, but not both.")
	case id != "":
		if to = running(a.byInstance(id)); to == nil {
			return nil, netip.Addr{}, errNoInstance(id)
		}
	case eni != "":
		if to = a.byENI(eni); to == nil {
			return nil, netip.Addr{}, errNoENI(eni)
		}
	default:
		return nil, netip.Addr{}, errClient("MissingParameter", "Either 'InstanceId' or 'NetworkInterfaceId' must be specified")
	}
	if private == "" {
		return to, to.PrivateIPs[0], nil
	}
	ip, err := netip.ParseAddr(private)
	if err != nil || !slices.Contains(to.PrivateIPs, ip) {
		return nil, netip.Addr{}, errInvalid("privateIpAddress", private)
	}
	return to, ip, nil
}

func errNoInstance(id string) *apiError {
	if !strings.HasPrefix(id, "i-") {
		return errMalformed("InvalidInstanceID.Malformed", id, "i-...")
	}
	return errClient("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
}

func errNoENI(id string) *apiError {
	if !strings.HasPrefix(id, "eni-") {
		return errMalformed("InvalidNetworkInterfaceId.Malformed", id, "eni-...")
	}
	return errClient("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+id+"' does not exist")
}

// errMalformed refuses an id that is none. There is no such code for allocation and association ids: those are "not found".
func errMalformed(code, id, want string) *apiError {
	return errClient(code, `Invalid id: "`+id+`" (expecting "`+want+`")`)
}

type disassociateResponse struct {
	XMLName   xml.Name `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DisassociateAddressResponse"`
	RequestID string   `xml:"requestId"`
	Return    bool     `xml:"return"`
}

func (s *Server) disassociateAddress(q query) (any, *apiError) {
	s.effects.Lock()
	defer s.effects.Unlock()
	id, changes, err := s.applyDisassociate(q)
	if err != nil {
		return nil, err
	}
	s.effect(q, id, changes)
	return disassociateResponse{RequestID: requestID(q.call.Seq), Return: true}, nil
}

// applyDisassociate frees an address. By association id it frees only the address that has that very association; by
// public address it frees it whoever has it, and does nothing if it is free.
func (s *Server) applyDisassociate(q query) (string, []Change, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, err := s.account.associatedOf(q.form)
	if err != nil {
		return "", nil, err
	}
	if q.call.DryRun {
		return "", nil, errDryRun()
	}
	if addr.now == nil {
		return "", nil, nil
	}
	id := addr.now.id
	return id, []Change{addr.set(nil, s.cfg.Now())}, nil
}

func (a *account) associatedOf(form url.Values) (*address, *apiError) {
	id, public := form.Get("AssociationId"), form.Get("PublicIp")
	switch {
	case id != "" && public != "":
		return nil, errClient("InvalidParameterCombination", "You may specify public IP or association id, but not both in the same call")
	case id != "":
		if addr := a.byAssociation(id); addr != nil {
			return addr, nil
		}
		return nil, errClient("InvalidAssociationID.NotFound", "The association ID '"+id+"' does not exist")
	case public != "":
		if addr := a.byPublic(public); addr != nil {
			return addr, nil
		}
		return nil, errNoPublic(public)
	default:
		return nil, errMissing("AssociationId")
	}
}

type tagItem struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func tagItems(tags map[string]string) []tagItem {
	var out []tagItem
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tagItem{k, tags[k]})
	}
	return out
}

type addressItem struct {
	PublicIP       string    `xml:"publicIp"`
	AllocationID   string    `xml:"allocationId"`
	Domain         string    `xml:"domain"`
	InstanceID     string    `xml:"instanceId,omitempty"`
	AssociationID  string    `xml:"associationId,omitempty"`
	ENI            string    `xml:"networkInterfaceId,omitempty"`
	ENIOwner       string    `xml:"networkInterfaceOwnerId,omitempty"`
	PrivateIP      string    `xml:"privateIpAddress,omitempty"`
	Tags           []tagItem `xml:"tagSet>item"`
	PublicIPv4Pool string    `xml:"publicIpv4Pool"`
	BorderGroup    string    `xml:"networkBorderGroup"`
}

type describeAddressesResponse struct {
	XMLName   xml.Name      `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeAddressesResponse"`
	RequestID string        `xml:"requestId"`
	Addresses []addressItem `xml:"addressesSet>item"`
}

func (s *Server) describeAddresses(q query) (any, *apiError) {
	fs, err := filters(q.form, "allocation-id", "association-id", "public-ip", "network-interface-id", "instance-id",
		"private-ip-address", "domain", "network-interface-owner-id", "network-border-group")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted, err := s.account.addressesOf(q.form)
	if err != nil {
		return nil, err
	}
	if q.call.DryRun {
		return nil, errDryRun()
	}
	out := describeAddressesResponse{RequestID: requestID(q.call.Seq)}
	for _, a := range wanted {
		item := s.item(a, a.at(s.asOf(q)))
		if match(fs, item.resource(a.Tags)) {
			out.Addresses = append(out.Addresses, item)
		}
	}
	return out, nil
}

// addressesOf returns the addresses that DescribeAddresses names, or all.
func (a *account) addressesOf(form url.Values) ([]*address, *apiError) {
	allocations, publics := list(form, "AllocationId"), list(form, "PublicIp")
	if len(allocations)+len(publics) == 0 {
		return a.addresses, nil
	}
	var out []*address
	for _, id := range allocations {
		addr := a.byAllocation(id)
		if addr == nil {
			return nil, errNoAllocation(id)
		}
		out = append(out, addr)
	}
	for _, ip := range publics {
		addr := a.byPublic(ip)
		if addr == nil {
			return nil, errNoPublic(ip)
		}
		out = append(out, addr)
	}
	return out, nil
}

func (s *Server) item(a *address, as *association) addressItem {
	item := addressItem{
		PublicIP: a.PublicIP.String(), AllocationID: a.AllocationID, Domain: "vpc",
		Tags: tagItems(a.Tags), PublicIPv4Pool: "amazon", BorderGroup: s.cfg.Region,
	}
	if as != nil {
		item.InstanceID, item.AssociationID, item.PrivateIP = as.to.ID, as.id, as.ip.String()
		item.ENI, item.ENIOwner = as.to.ENI, s.cfg.Account
	}
	return item
}

func (i addressItem) resource(tags map[string]string) resource {
	return resource{
		"allocation-id": {i.AllocationID}, "association-id": {i.AssociationID}, "public-ip": {i.PublicIP},
		"network-interface-id": {i.ENI}, "instance-id": {i.InstanceID}, "private-ip-address": {i.PrivateIP},
		"domain": {i.Domain}, "network-interface-owner-id": {i.ENIOwner}, "network-border-group": {i.BorderGroup},
	}.withTags(tags)
}
