package ec2fake

import (
	"encoding/xml"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

type instanceItem struct {
	ID           string    `xml:"instanceId"`
	ImageID      string    `xml:"imageId"`
	StateCode    int       `xml:"instanceState>code"`
	StateName    string    `xml:"instanceState>name"`
	InstanceType string    `xml:"instanceType"`
	Launched     string    `xml:"launchTime"`
	AZ           string    `xml:"placement>availabilityZone"`
	PrivateIP    string    `xml:"privateIpAddress,omitempty"`
	PublicIP     string    `xml:"ipAddress,omitempty"`
	Tags         []tagItem `xml:"tagSet>item"`
	ENIs         []eniItem `xml:"networkInterfaceSet>item"`
}

type eniItem struct {
	ID          string           `xml:"networkInterfaceId"`
	AZ          string           `xml:"availabilityZone"`
	Owner       string           `xml:"ownerId"`
	Status      string           `xml:"status"`
	MAC         string           `xml:"macAddress"`
	PrivateIP   string           `xml:"privateIpAddress"`
	Attachment  attachmentItem   `xml:"attachment"`
	Association *associationItem `xml:"association"`
	Addresses   []privateItem    `xml:"privateIpAddressesSet>item"`
	Tags        []tagItem        `xml:"tagSet>item"`
}

type attachmentItem struct {
	Instance    string `xml:"instanceId"`
	DeviceIndex int    `xml:"deviceIndex"`
	Status      string `xml:"status"`
}

type associationItem struct {
	PublicIP      string `xml:"publicIp"`
	Owner         string `xml:"ipOwnerId"`
	AllocationID  string `xml:"allocationId"`
	AssociationID string `xml:"associationId"`
}

type privateItem struct {
	PrivateIP   string           `xml:"privateIpAddress"`
	Primary     bool             `xml:"primary"`
	Association *associationItem `xml:"association"`
}

type reservationItem struct {
	ID        string         `xml:"reservationId"`
	Owner     string         `xml:"ownerId"`
	Instances []instanceItem `xml:"instancesSet>item"`
}

type describeInstancesResponse struct {
	XMLName      xml.Name          `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeInstancesResponse"`
	RequestID    string            `xml:"requestId"`
	Reservations []reservationItem `xml:"reservationSet>item"`
	NextToken    string            `xml:"nextToken,omitempty"`
}

type describeENIsResponse struct {
	XMLName   xml.Name  `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeNetworkInterfacesResponse"`
	RequestID string    `xml:"requestId"`
	ENIs      []eniItem `xml:"networkInterfaceSet>item"`
}

func (s *Server) describeInstances(q query) (any, *apiError) {
	fs, err := filters(q.form, "instance-id", "instance-state-name", "private-ip-address", "ip-address",
		"network-interface.network-interface-id", "availability-zone")
	if err != nil {
		return nil, err
	}
	size, err := pageSize(q.form)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted, err := s.account.instancesOf(list(q.form, "InstanceId"), s.account.byInstance, errNoInstance)
	if err != nil {
		return nil, err
	}
	if q.call.DryRun {
		return nil, errDryRun()
	}
	var found []reservationItem
	for _, i := range wanted {
		if item := s.instanceItem(i); match(fs, item.resource(i)) {
			found = append(found, reservationItem{ID: "r-" + digest(i.ID, 0)[:17], Owner: s.cfg.Account, Instances: []instanceItem{item}})
		}
	}
	out := describeInstancesResponse{RequestID: requestID(q.call.Seq)}
	out.Reservations, out.NextToken, err = page(found, size, q.form.Get("NextToken"))
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (item instanceItem) resource(i *instance) resource {
	r := resource{"instance-id": {i.ID}, "instance-state-name": {item.StateName}, "ip-address": {item.PublicIP}, "availability-zone": {i.AZ}}
	if !i.terminated {
		r["private-ip-address"], r["network-interface.network-interface-id"] = addressStrings(i.PrivateIPs), []string{i.ENI}
	}
	return r.withTags(i.Tags)
}

// pageSize reads MaxResults; 0 is all.
func pageSize(form url.Values) (int, *apiError) {
	text := form.Get("MaxResults")
	if text == "" {
		return 0, nil
	}
	size, err := strconv.Atoi(text)
	switch {
	case err != nil || size < 5 || size > 1000:
		return 0, errInvalid("maxResults", text)
	case form.Has("InstanceId.1"):
		return 0, errClient("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	return size, nil
}

// page cuts one page out of what was found. The token is the number of the first item of the next page.
func page(found []reservationItem, size int, token string) (items []reservationItem, next string, err *apiError) {
	first := 0
	if token != "" {
		n, bad := strconv.Atoi(token)
		if bad != nil || n < 0 || n > len(found) {
			return nil, "", errInvalid("nextToken", token)
		}
		first = n
	}
	found = found[first:]
	if size == 0 || len(found) <= size {
		return found, "", nil
	}
	return found[:size], strconv.Itoa(first + size), nil
}

func (s *Server) describeENIs(q query) (any, *apiError) {
	fs, err := filters(q.form, "network-interface-id", "private-ip-address", "addresses.private-ip-address", "status",
		"attachment.instance-id", "mac-address", "availability-zone", "association.allocation-id", "association.association-id",
		"association.public-ip")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted, err := s.account.instancesOf(list(q.form, "NetworkInterfaceId"), s.account.byENI, errNoENI)
	if err != nil {
		return nil, err
	}
	if q.call.DryRun {
		return nil, errDryRun()
	}
	out := describeENIsResponse{RequestID: requestID(q.call.Seq)}
	for _, i := range wanted {
		if i.terminated {
			continue // its network interface went with it
		}
		item := s.eniItem(i)
		r := resource{
			"network-interface-id": {i.ENI}, "private-ip-address": {item.PrivateIP}, "status": {item.Status},
			"addresses.private-ip-address": addressStrings(i.PrivateIPs), "attachment.instance-id": {i.ID},
			"mac-address": {i.mac}, "availability-zone": {i.AZ},
		}
		for _, p := range item.Addresses {
			if as := p.Association; as != nil {
				r["association.allocation-id"] = append(r["association.allocation-id"], as.AllocationID)
				r["association.association-id"] = append(r["association.association-id"], as.AssociationID)
				r["association.public-ip"] = append(r["association.public-ip"], as.PublicIP)
			}
		}
		if match(fs, r.withTags(i.Tags)) {
			out.ENIs = append(out.ENIs, item)
		}
	}
	return out, nil
}

// instancesOf returns the instances with those ids, or all if none are given.
func (a *account) instancesOf(ids []string, get func(string) *instance, missing func(string) *apiError) ([]*instance, *apiError) {
	if len(ids) == 0 {
		return a.instances, nil
	}
	var out []*instance
	for _, id := range ids {
		i := get(id)
		if i == nil {
			return nil, missing(id)
		}
		out = append(out, i)
	}
	return out, nil
}

func (s *Server) instanceItem(i *instance) instanceItem {
	item := instanceItem{
		ID: i.ID, ImageID: "ami-00000000000000000", StateCode: 16, StateName: "running", InstanceType: "t3.micro",
		Launched: i.Launched.UTC().Format(time.RFC3339), AZ: i.AZ, Tags: tagItems(i.Tags),
	}
	if i.terminated {
		// It stays visible for about an hour, without what it had.
		item.StateCode, item.StateName = 48, "terminated"
		return item
	}
	item.PrivateIP, item.ENIs = i.PrivateIPs[0].String(), []eniItem{s.eniItem(i)}
	if as := item.ENIs[0].Association; as != nil {
		item.PublicIP = as.PublicIP
	}
	return item
}

func (s *Server) eniItem(i *instance) eniItem {
	item := eniItem{
		ID: i.ENI, AZ: i.AZ, Owner: s.cfg.Account, Status: "in-use", MAC: i.mac, PrivateIP: i.PrivateIPs[0].String(),
		Attachment: attachmentItem{Instance: i.ID, Status: "attached"},
	}
	for n, ip := range i.PrivateIPs {
		p := privateItem{PrivateIP: ip.String(), Primary: n == 0}
		if a := s.account.withPrivate(ip); a != nil {
			p.Association = &associationItem{
				PublicIP: a.PublicIP.String(), Owner: s.cfg.Account, AllocationID: a.AllocationID, AssociationID: a.now.id,
			}
		}
		item.Addresses = append(item.Addresses, p)
	}
	item.Association = item.Addresses[0].Association
	return item
}

func addressStrings(addresses []netip.Addr) []string {
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = a.String()
	}
	return out
}
