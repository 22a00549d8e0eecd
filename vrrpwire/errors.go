package vrrpwire

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of Parse and of Decode: the bytes are no VRRP advertisement.
var ErrMalformed = errors.New("malformed VRRP advertisement")

// Reason says why a packet was not accepted, in the words of keepalived's counters (keepalived/include/vrrp.h,
// struct vrrp_stats) where keepalived has one.
type Reason string

// Reasons of Parse, of Decode and of the listener. The last two are our own.
const (
	ReasonLength        Reason = "packet_len_err"
	ReasonVersion       Reason = "vers_err"
	ReasonType          Reason = "invalid_type_rcvd"
	ReasonChecksum      Reason = "chk_err"
	ReasonVRID          Reason = "vrid_err"
	ReasonInterval      Reason = "advert_interval_err"
	ReasonTTL           Reason = "ip_ttl_err"
	ReasonAddresses     Reason = "addr_list_err"
	ReasonAuthType      Reason = "invalid_authtype"
	ReasonAuthMismatch  Reason = "authtype_mismatch"
	ReasonAuthFailure   Reason = "auth_failure"
	ReasonTrailer       Reason = "auth_ext_malformed" // Decode only
	ReasonUnknownSender Reason = "unknown_sender"
	ReasonOverrun       Reason = "receive_overrun"
)

// PacketError is why one packet was not accepted. Those of Parse and Decode wrap ErrMalformed.
type PacketError struct {
	Reason Reason // the counter that it belongs to
	Err    error  // what was seen and, if it is not obvious, what was expected
}

// Error names the counter and the cause.
func (e *PacketError) Error() string { return string(e.Reason) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PacketError) Unwrap() error { return e.Err }

func malformed(reason Reason, format string, args ...any) *PacketError {
	return &PacketError{Reason: reason, Err: fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))}
}

func unwanted(reason Reason, format string, args ...any) *PacketError {
	return &PacketError{Reason: reason, Err: fmt.Errorf(format, args...)}
}
