package eip

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
)

func TestClassify(t *testing.T) {
	code := func(c string) error { return fmt.Errorf("wrapped: %w", &smithy.GenericAPIError{Code: c}) }
	for _, tc := range []struct {
		err     error
		want    Class
		certain bool
	}{
		{nil, Done, false},
		{code("DryRunOperation"), Done, false},
		{fmt.Errorf("x: %w", ErrNotPermitted), NotPermitted, true},
		{fmt.Errorf("x: %w", ErrNotSent), NotSent, true},
		{code("IncorrectInstanceState"), Retry, true},
		{code("Unavailable"), Unknown, false},
		{code("RequestLimitExceeded"), Throttled, true},
		{code("Throttling"), Throttled, true},
		{code("ThrottlingException"), Throttled, true},
		{code("SlowDown"), Throttled, true},
		{code("Resource.AlreadyAssociated"), Conflict, true},
		{code("InvalidAllocationID.NotFound"), Gone, true},
		{code("InvalidAddress.NotFound"), Gone, true},
		{code("InvalidNetworkInterfaceID.NotFound"), Gone, true},
		{code("InvalidAssociationID.NotFound"), Gone, true},
		{errNoAddress, Gone, true},
		{code("UnauthorizedOperation"), Denied, true},
		{code("AuthFailure"), Denied, true},
		{code("ExpiredToken"), Denied, true},
		{code("OptInRequired"), Denied, true},
		{code("InvalidParameterValue"), Denied, true},
		// Never taken for "not done":
		{code("InternalError"), Unknown, false},
		{code("InternalFailure"), Unknown, false},
		{code("ServiceUnavailable"), Unknown, false},
		{code("UnknownError"), Unknown, false}, // what the SDK makes of an empty error body
		{code(""), Unknown, false},
		{code("SomethingNew"), Unknown, false},
		{errors.New("connection reset by peer"), Unknown, false},
	} {
		if got := Classify(tc.err); got != tc.want || got.CertainlyNotDone() != tc.certain {
			t.Errorf("%v: class %q (certainly not done: %v), want %q (%v)", tc.err, got, got.CertainlyNotDone(), tc.want, tc.certain)
		}
	}
}

func TestEachClassHasItsOwnName(t *testing.T) {
	seen := make(map[string]Class)
	for c := Unknown; c <= Denied+1; c++ {
		if old, ok := seen[c.String()]; ok {
			t.Errorf("classes %d and %d are both %q", old, c, c)
		}
		seen[c.String()] = c
	}
	var zero Class
	if zero != Unknown {
		t.Error("the zero class claims to know something")
	}
}
