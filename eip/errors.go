package eip

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
)

// Class says what may be concluded from the outcome of a call, and what may help.
type Class uint8

const (
	// Unknown is every outcome not known otherwise: time-outs, resets, 5xx, answers that cannot be read, codes that this
	// package does not know. The call may have been done, or may still land. It is the zero value on purpose.
	Unknown Class = iota
	// Done means that EC2 answered: done (or, to a DryRun: it would have been).
	Done
	// NotPermitted means that our own final check refused. Nothing was sent.
	NotPermitted
	// NotSent means that nothing was sent: connection refused, no route, DNS, no credentials, cancelled before the write.
	NotSent
	// Retry means that EC2 answered, did nothing, and may do it later.
	Retry
	// Throttled means that EC2 answered, did nothing, and wants fewer calls.
	Throttled
	// Conflict means that the address, or the target, is associated and AllowReassociation was false. Nothing was done.
	Conflict
	// Gone means that the allocation, the association or the network interface does not exist. Nothing was done.
	Gone
	// Denied means that EC2 refused for a reason that an operator must remove: permission, credentials, account, parameters.
	Denied
)

// String returns the class in lower case, as it stands in logs.
func (c Class) String() string {
	switch c {
	case Done:
		return "done"
	case NotPermitted:
		return "not permitted"
	case NotSent:
		return "not sent"
	case Retry:
		return "retry"
	case Throttled:
		return "throttled"
	case Conflict:
		return "conflict"
	case Gone:
		return "gone"
	case Denied:
		return "denied"
	case Unknown:
		return "unknown"
	default:
		return fmt.Sprintf("class(%d)", uint8(c))
	}
}

// CertainlyNotDone reports whether the call had no effect and will have none.
func (c Class) CertainlyNotDone() bool { return c != Unknown && c != Done }

// Classify sorts the error of a Client's method; nil is Done. An error that it does not know is Unknown.
func Classify(err error) Class {
	var api smithy.APIError
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrNotPermitted):
		return NotPermitted
	case errors.Is(err, ErrNotSent):
		return NotSent
	case errors.Is(err, errNoAddress):
		return Gone
	case errors.As(err, &api):
		return classOfCode(api.ErrorCode())
	default:
		return Unknown
	}
}

const (
	codeDryRun          = "DryRunOperation"
	codeUnauthorized    = "UnauthorizedOperation"
	codeNoAssociation   = "InvalidAssociationID.NotFound"
	codeNoAllocation    = "InvalidAllocationID.NotFound"
	codeNoAddress       = "InvalidAddress.NotFound"
	codeNoInterface     = "InvalidNetworkInterfaceID.NotFound"
	codeNoGateway       = "Gateway.NotAttached"
	codeAssociated      = "Resource.AlreadyAssociated"
	codeAuthFailure     = "AuthFailure"
	codeOptInRequired   = "OptInRequired"
	codeRequestExpired  = "RequestExpired"
	codeSignature       = "SignatureDoesNotMatch"
	codeNoToken         = "MissingAuthenticationToken"
	codeInvalidClientID = "InvalidClientTokenId"
)

// classOfCode sorts the codes of "Error codes for the Amazon EC2 API". InternalError, InternalFailure and ServiceUnavailable
// are left to the default: EC2 may have acted before it failed.
func classOfCode(code string) Class {
	switch code {
	case codeDryRun:
		return Done
	case "IncorrectInstanceState", "IncorrectState", "InvalidInstanceID", "DependencyViolation",
		"ConcurrentTagAccess", codeRequestExpired, "RequestTimeTooSkewed":
		return Retry
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
		"RequestThrottledException", "TooManyRequestsException", "EC2ThrottledException", "SlowDown", "BandwidthLimitExceeded":
		return Throttled
	case codeAssociated:
		return Conflict
	case codeNoAllocation, codeNoAddress, codeNoInterface, codeNoAssociation, "InvalidNetworkInterface.NotFound",
		"InvalidInstanceID.NotFound":
		return Gone
	case codeUnauthorized, codeAuthFailure, codeOptInRequired, codeSignature, codeNoToken, codeInvalidClientID, "ExpiredToken",
		"ExpiredTokenException", "AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "IncompleteSignature",
		"Blocked", "PendingVerification", "AddressLimitExceeded":
		return Denied
	case "InvalidParameter", "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter", "UnknownParameter",
		"InvalidParameterDependency", "InvalidQueryParameter", "MalformedQueryString", "InvalidCharacter",
		"InvalidAction", "MissingAction", "UnsupportedOperation", "InvalidAllocationID.Malformed", "InvalidAddress.Malformed",
		"InvalidNetworkInterfaceID.Malformed", "InvalidNetworkInterfaceId.Malformed", "InvalidAssociationID.Malformed",
		"InvalidInstanceID.Malformed", codeNoGateway:
		return Denied
	default:
		return Unknown
	}
}

// callError is the error of one EC2 call: what was tried, what an operator can do about it, and the cause.
type callError struct {
	doing  string // "describe address eipalloc-1"
	remedy string // may be empty
	err    error
}

// Error returns one sentence; the remedy comes before the cause.
func (e *callError) Error() string {
	if e.remedy == "" {
		return e.doing + ": " + brief(e.err)
	}
	return e.doing + ": " + e.remedy + ": " + brief(e.err)
}

// Unwrap returns the cause.
func (e *callError) Unwrap() error { return e.err }

// maxMessage bounds, in bytes, what is passed on of EC2's words.
const maxMessage = 1 << 10

// brief shortens what the SDK says. An UnauthorizedOperation carries a kilobyte of encoded message.
func brief(err error) string {
	var api smithy.APIError
	text := err.Error()
	if errors.As(err, &api) {
		message, _, _ := strings.Cut(api.ErrorMessage(), " Encoded authorization failure message")
		text = api.ErrorCode() + ": " + message
	}
	return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "?")
}

// wayToEC2 does not propose a NAT gateway: docs/AWS.md says why it does not help.
const wayToEC2 = " was not reached: a node without a public address needs an interface VPC endpoint of EC2, and TCP 443 to it"

// remedy names what an operator can do about err, or is empty. action is the EC2 action that was called.
func (c *Client) remedy(action string, err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return c.remedyOfCode(action, api.ErrorCode())
	}
	switch Classify(err) {
	case NotSent:
		if errors.Is(err, errNoCredentials) {
			return "no AWS credentials: attach an instance profile to this instance, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
		}
		return "the EC2 endpoint " + c.endpoint + wayToEC2
	default:
		return ""
	}
}

func (c *Client) remedyOfCode(action, code string) string {
	switch code {
	case codeUnauthorized:
		return "access denied: allow ec2:" + action + " in the policy of the instance role"
	case codeAuthFailure, codeSignature, codeNoToken, codeInvalidClientID, "ExpiredToken":
		return "the AWS credentials are not valid here: check the instance profile or the AWS_* environment"
	case codeOptInRequired:
		return "the account may not use region " + c.region + ": enable the region or correct aws.region"
	case codeRequestExpired:
		return "the request's signature or the role's credentials are too old: check the clock of this machine and the instance profile"
	case codeNoAllocation, codeNoAddress:
		return "no such Elastic IP in region " + c.region + ": check eip.allocation_id and aws.region"
	case codeNoGateway:
		return "the VPC has no internet gateway: attach one"
	case codeNoInterface:
		return "no network interface " + string(c.target.ENI) + " in region " + c.region + ": check aws.network_interface_id"
	default:
		return ""
	}
}
