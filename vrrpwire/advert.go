package vrrpwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Versions of VRRP that this package speaks over IPv4.
const (
	Version2 = 2 // RFC 3768: whole seconds, eight bytes of authentication data
	Version3 = 3 // RFC 9568: centiseconds, no authentication
)

// Priorities with a meaning of their own (RFC 9568 section 5.2.4).
const (
	PriorityStop  = 0   // the sender stops being Master
	PriorityOwner = 255 // the sender owns the addresses; with an Elastic IP nobody does
)

// Units and limits of the interval field (RFC 3768 section 5.3.7, RFC 9568 section 5.2.7).
const (
	unitV2     = time.Second
	unitV3     = 10 * time.Millisecond
	maxUnitsV2 = 1<<8 - 1
	maxUnitsV3 = 1<<12 - 1
)

// Layout of the message (RFC 3768 section 5.2, RFC 9568 section 5.2).
const (
	typeAdvert     = 1
	headerLen      = 8
	checksumOffset = 6
	addressLen     = 4
	maxAddresses   = 1<<8 - 1
	authLen        = 8
)

// AuthType is the authentication type of VRRPv2 (RFC 2338 section 5.3.6; RFC 3768 keeps only AuthNone).
type AuthType uint8

// Authentication types. AH travels under IP protocol 51 and is not spoken here.
const (
	AuthNone AuthType = 0
	AuthPass AuthType = 1
)

// Auth is the authentication field of VRRPv2. The password travels in clear text: it guards against a
// misconfigured neighbour, not against an attacker.
type Auth struct {
	Type AuthType
	Key  [authLen]byte // the password, padded with NUL; zero with AuthNone
}

// Advertisement is the one message of VRRP, in Go's units.
type Advertisement struct {
	Version   uint8         // Version2 or Version3
	VRID      uint8         // virtual router, 1 to 255
	Priority  uint8         // PriorityStop, 1 to 254, or PriorityOwner
	Interval  time.Duration // VRRPv2: 1 s to 255 s; VRRPv3: 10 ms to 40.95 s
	Addresses []netip.Addr  // IPv4; nil when the advertisement names none
	Auth      Auth          // VRRPv2 only
}

// Parse reads one advertisement from the payload of an IPv4 packet that went from src to dst.
//
// Every error is a *PacketError which names keepalived's counter and wraps ErrMalformed; the advertisement is then
// the zero value. Parse judges the bytes alone: whether VRID, version or interval are the expected ones is the
// listener's business. Without addresses it does not allocate.
func Parse(payload []byte, src, dst netip.Addr, mode ChecksumMode) (Advertisement, error) {
	if len(payload) < headerLen {
		return Advertisement{}, malformed(ReasonLength, "%d bytes, want at least %d", len(payload), headerLen)
	}
	version, count := payload[0]>>4, int(payload[3])
	if version != Version2 && version != Version3 {
		return Advertisement{}, malformed(ReasonVersion, "version %d", version)
	}
	if want := encodedLen(version, count); len(payload) != want {
		return Advertisement{}, malformed(ReasonLength, "%d bytes with %d addresses, want %d", len(payload), count, want)
	}
	if kind := payload[0] & 0x0f; kind != typeAdvert {
		return Advertisement{}, malformed(ReasonType, "packet type %d", kind)
	}
	auth, err := parseAuth(version, payload)
	if err != nil {
		return Advertisement{}, err
	}
	if !checksumOK(payload, src, dst, mode) {
		return Advertisement{}, malformed(ReasonChecksum, "checksum %#04x", binary.BigEndian.Uint16(payload[checksumOffset:]))
	}
	if payload[1] == 0 {
		return Advertisement{}, malformed(ReasonVRID, "virtual router 0")
	}
	interval := parseInterval(version, payload)
	if interval == 0 {
		return Advertisement{}, malformed(ReasonInterval, "interval 0")
	}
	return Advertisement{
		Version: version, VRID: payload[1], Priority: payload[2], Interval: interval,
		Addresses: parseAddresses(payload, count), Auth: auth,
	}, nil
}

// Append encodes the advertisement for a packet from src to dst, appends it to b and returns the longer slice.
// With an error, which names the field that does not fit the wire, b comes back as it was. Append allocates only
// when b lacks the room.
func (a Advertisement) Append(b []byte, src, dst netip.Addr, mode ChecksumMode) ([]byte, error) {
	if err := a.encodable(); err != nil {
		return b, fmt.Errorf("encode VRRP advertisement: %w", err)
	}
	start := len(b)
	b = append(b, a.Version<<4|typeAdvert, a.VRID, a.Priority, byte(len(a.Addresses)))
	if a.Version == Version2 {
		b = append(b, byte(a.Auth.Type), byte(a.Interval/unitV2))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(a.Interval/unitV3))
	}
	b = append(b, 0, 0)
	for _, address := range a.Addresses {
		octets := address.As4()
		b = append(b, octets[:]...)
	}
	if a.Version == Version2 {
		b = append(b, a.Auth.Key[:]...)
	}
	sum := checksum(b[start:], src, dst, mode)
	binary.BigEndian.PutUint16(b[start+checksumOffset:], sum)
	return b, nil
}

// SkewTime is the extra wait of a Backup, shorter for a higher priority, so that the best one takes over first.
//
// VRRPv3 scales it with the interval (RFC 9568 section 6.1). VRRPv2 does not: it is up to a second whatever the
// interval (RFC 3768 section 6.1), and keepalived does the same.
func SkewTime(priority uint8, interval time.Duration, version uint8) time.Duration {
	if version == Version2 {
		interval = unitV2
	}
	return time.Duration(256-int(priority)) * interval / 256
}

// MasterDownInterval is how long a Backup waits for an advertisement before it takes the Master for dead: three
// intervals and the skew (RFC 9568 section 6.1). The interval is the Master's own in VRRPv3, the local one in VRRPv2.
func MasterDownInterval(priority uint8, interval time.Duration, version uint8) time.Duration {
	return 3*interval + SkewTime(priority, interval, version)
}

// CheckInterval says whether an interval fits the wire of a version, and what would.
func CheckInterval(interval time.Duration, version uint8) error {
	unit, most := unitV3, maxUnitsV3*unitV3
	if version == Version2 {
		unit, most = unitV2, maxUnitsV2*unitV2
	}
	if interval < unit || interval > most || interval%unit != 0 {
		return fmt.Errorf("interval %v: VRRPv%d carries multiples of %v up to %v", interval, version, unit, most)
	}
	return nil
}

func encodedLen(version uint8, count int) int {
	n := headerLen + count*addressLen
	if version == Version2 {
		n += authLen
	}
	return n
}

// parseAuth returns no key for AuthNone: RFC 3768 section 5.3.10 has receivers ignore those bytes.
func parseAuth(version uint8, payload []byte) (Auth, error) {
	if version != Version2 {
		return Auth{}, nil
	}
	switch kind := AuthType(payload[4]); kind {
	case AuthNone:
		return Auth{}, nil
	case AuthPass:
		return Auth{Type: AuthPass, Key: [authLen]byte(payload[len(payload)-authLen:])}, nil
	default:
		return Auth{}, malformed(ReasonAuthType, "authentication type %d", kind)
	}
}

// parseInterval masks the four reserved bits of VRRPv3, which RFC 9568 section 5.2.6 has receivers ignore.
func parseInterval(version uint8, payload []byte) time.Duration {
	if version == Version2 {
		return time.Duration(payload[5]) * unitV2
	}
	return time.Duration(binary.BigEndian.Uint16(payload[4:])&maxUnitsV3) * unitV3
}

func parseAddresses(payload []byte, count int) []netip.Addr {
	if count == 0 {
		return nil
	}
	addresses := make([]netip.Addr, count)
	for i := range addresses {
		addresses[i] = netip.AddrFrom4([addressLen]byte(payload[headerLen+i*addressLen:]))
	}
	return addresses
}

func (a Advertisement) encodable() error {
	if a.Version != Version2 && a.Version != Version3 {
		return fmt.Errorf("version %d: neither 2 nor 3", a.Version)
	}
	if a.VRID == 0 {
		return errors.New("virtual router id 0: want 1 to 255")
	}
	if err := CheckInterval(a.Interval, a.Version); err != nil {
		return err
	}
	if len(a.Addresses) > maxAddresses {
		return fmt.Errorf("%d addresses: want at most %d", len(a.Addresses), maxAddresses)
	}
	for _, address := range a.Addresses {
		if !address.Is4() {
			return fmt.Errorf("address %v: not IPv4", address)
		}
	}
	return a.Auth.encodable(a.Version)
}

func (a Auth) encodable(version uint8) error {
	switch {
	case a == Auth{}:
		return nil
	case version != Version2:
		return fmt.Errorf("VRRPv%d has no authentication", version)
	case a.Type != AuthPass:
		return fmt.Errorf("authentication type %d with a key: want %d (PASS)", a.Type, AuthPass)
	default:
		return nil
	}
}
