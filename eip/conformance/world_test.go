package conformance

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// world asks one account and writes down what it sees. Ids are written as names, so that all implementations can be compared:
// a and b for the instances (a.2 for the second private address of a), first and second for the Elastic IPs, #1, #2, ... for
// association ids in the order of their first appearance.
type world struct {
	account
	t            *testing.T
	sdk          *ec2.Client
	associations []string
	seen         []string
}

func newWorld(t *testing.T, acc account) *world {
	return &world{account: acc, t: t, sdk: newSDK(acc.url, keySecret)}
}

// newSDK returns an unmodified client of the AWS SDK, without retries.
func newSDK(url, secret string) *ec2.Client {
	return ec2.New(ec2.Options{
		Region: region, BaseEndpoint: aws.String(url), Retryer: aws.NopRetryer{},
		HTTPClient:  &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
	})
}

func (w *world) transcript() string { return strings.Join(w.seen, ", ") }

func (w *world) saw(what string) { w.seen = append(w.seen, what) }

// name returns the name of an association id.
func (w *world) name(id string) string {
	if id == "" {
		return "no id"
	}
	n := slices.Index(w.associations, id)
	if n < 0 {
		n = len(w.associations)
		w.associations = append(w.associations, id)
	}
	return "#" + strconv.Itoa(n+1)
}

// id returns the association id of that name.
func (w *world) id(name string) *string {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "#"))
	if err != nil || n < 1 || n > len(w.associations) {
		w.t.Fatalf("no association %s so far: %s", name, w.transcript())
	}
	return aws.String(w.associations[n-1])
}

// codeOf returns the error code that EC2 answered, or the HTTP status if there is no code.
func codeOf(err error) string {
	var api smithy.APIError
	var resp *smithyhttp.ResponseError
	switch {
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.As(err, &resp):
		return "HTTP " + strconv.Itoa(resp.HTTPStatusCode())
	default:
		return err.Error()
	}
}

type (
	associateInput    = ec2.AssociateAddressInput
	disassociateInput = ec2.DisassociateAddressInput
)

// associate notes "associated #n" or the error code.
func (w *world) associate(in *associateInput) {
	out, err := w.sdk.AssociateAddress(w.t.Context(), in)
	if err != nil {
		w.saw(codeOf(err))
		return
	}
	w.saw("associated " + w.name(aws.ToString(out.AssociationId)))
}

// disassociate notes "disassociated" or the error code.
func (w *world) disassociate(in *disassociateInput) {
	if _, err := w.sdk.DisassociateAddress(w.t.Context(), in); err != nil {
		w.saw(codeOf(err))
		return
	}
	w.saw("disassociated")
}

// end disassociates the association of that name.
func (w *world) end(name string) { w.disassociate(&disassociateInput{AssociationId: w.id(name)}) }

// where notes where an address is, as DescribeAddresses says, and under which id.
func (w *world) where(a address) {
	out, err := w.sdk.DescribeAddresses(w.t.Context(), &ec2.DescribeAddressesInput{AllocationIds: []string{*a.allocation}})
	if err != nil {
		w.saw(codeOf(err))
		return
	}
	for _, got := range out.Addresses {
		w.saw(w.nameOf(a.allocation) + " " + w.place(got))
	}
}

func (w *world) place(a types.Address) string {
	if aws.ToString(a.AssociationId) == "" {
		return "free"
	}
	at := w.nameOf(a.PrivateIpAddress)
	if owner := w.nameOf(a.NetworkInterfaceId); !strings.HasPrefix(at, owner) {
		at += " of " + owner
	}
	return "at " + at + " " + w.name(*a.AssociationId)
}

// nameOf returns the name of an address, instance, interface or private address, or the id itself if it is of none of them.
func (w *world) nameOf(id *string) string {
	if aws.ToString(id) == "" {
		return "none"
	}
	for name, ids := range map[string][]*string{
		"a": {w.a.instance, w.a.eni, w.a.primary}, "a.2": {w.a.secondary}, "b": {w.b.instance, w.b.eni, w.b.primary},
		"first": {w.first.allocation, w.first.public}, "second": {w.second.allocation, w.second.public},
	} {
		if slices.ContainsFunc(ids, func(known *string) bool { return *known == *id }) {
			return name
		}
	}
	return aws.ToString(id)
}

// found notes the names of what was found, or the error code.
func (w *world) found(err error, ids ...*string) {
	if err != nil {
		w.saw(codeOf(err))
		return
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = w.nameOf(id)
	}
	slices.Sort(names)
	w.saw("found " + strings.Join(append(names, "nothing")[:max(1, len(names))], " and "))
}

func (w *world) addresses(in *ec2.DescribeAddressesInput) {
	out, err := w.sdk.DescribeAddresses(w.t.Context(), in)
	var ids []*string
	if err == nil {
		for _, a := range out.Addresses {
			ids = append(ids, a.AllocationId)
		}
	}
	w.found(err, ids...)
}

func (w *world) instances(in *ec2.DescribeInstancesInput) {
	out, err := w.sdk.DescribeInstances(w.t.Context(), in)
	var ids []*string
	if err == nil {
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				ids = append(ids, i.InstanceId)
			}
		}
	}
	w.found(err, ids...)
}

func (w *world) interfaces(in *ec2.DescribeNetworkInterfacesInput) {
	out, err := w.sdk.DescribeNetworkInterfaces(w.t.Context(), in)
	var ids []*string
	if err == nil {
		for _, n := range out.NetworkInterfaces {
			ids = append(ids, n.NetworkInterfaceId)
		}
	}
	w.found(err, ids...)
}

// by is the list of one filter with one value.
func by(name string, value *string) []types.Filter {
	return []types.Filter{{Name: aws.String(name), Values: []string{aws.ToString(value)}}}
}
