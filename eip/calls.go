package eip

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/logging"
)

// calls are the calls to EC2 that the program makes.
//
// They are functions, and no *ec2.Client is kept, for the linker's sake. html/template calls methods by names that are known at run time only,
// so the linker keeps all methods of all types that reflection can get at, and from a struct it gets at the types of its fields. The
// client has a method for each of EC2's seven hundred calls: 40 MB. A function hides what it is bound to.
type calls struct {
	DescribeAddresses   call[ec2.DescribeAddressesInput, ec2.DescribeAddressesOutput]
	DescribeInstances   call[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	AssociateAddress    call[ec2.AssociateAddressInput, ec2.AssociateAddressOutput]
	DisassociateAddress call[ec2.DisassociateAddressInput, ec2.DisassociateAddressOutput]
}

type call[In, Out any] = func(context.Context, *In, ...func(*ec2.Options)) (*Out, error)

// newCalls makes a client with connections of its own, which tries nothing again: who asks, asks again.
func newCalls(sdk aws.Config, endpoint string, dial Dial, credentials aws.CredentialsProvider) (calls, oneShot) {
	base := awshttp.NewBuildableClient()
	if b, ok := sdk.HTTPClient.(*awshttp.BuildableClient); ok {
		base = b // carries AWS_CA_BUNDLE
	}
	transport := newTransport(base.GetTransport(), dial)
	return callsOf(ec2.NewFromConfig(sdk, func(o *ec2.Options) {
		o.HTTPClient = transport.client()
		o.Retryer = aws.NopRetryer{}
		o.Logger = logging.Nop{} // its warnings come back as errors
		o.Credentials = credentials
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})), transport
}

func callsOf(client *ec2.Client) calls {
	return calls{client.DescribeAddresses, client.DescribeInstances, client.AssociateAddress, client.DisassociateAddress}
}
