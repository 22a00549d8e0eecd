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
	addressLen6    = 16
	maxAddresses   = 1<<8 - 1
	authLen        = 8
)

// AuthType is the authentication type of VRRPv2 (RFC 2338 section 5.3.6; RFC 3768 keeps only AuthNone).
type AuthType uint8

// Authentication types. AH travels under IP protocol 51; it is known by its number and not spoken here.
const (
	AuthNone AuthType = 0
	AuthPass AuthType = 1
	AuthAH   AuthType = 2
)

// String returns keepalived's word for the type.
func (t AuthType) String() string {
	switch t {
	case AuthNone:
		return "none"
	case AuthPass:
		return "PASS"
	case AuthAH:
		return "AH"
	default:
		return fmt.Sprintf("type %d", uint8(t))
	}
}

// Auth is the authentication field of VRRPv2. The password travels in clear text: it guards against a
// misconfigured neighbour, not against an attacker.
type Auth struct {
	Type AuthType
	Key  [authLen]byte // the password, padded with NUL; zero with other types
}

// Password returns the authentication by a password of 1 to 8 bytes. keepalived cuts a longer auth_pass without a word; here it is
// an error that names the remedy and not the password.
func Password(password string) (Auth, error) {
	if n := len(password); n == 0 || n > authLen {
		return Auth{}, fmt.Errorf("password of %d bytes: VRRPv2 carries 1 to %d; of a longer one keepalived uses the first %d", n, authLen, authLen)
	}
	auth := Auth{Type: AuthPass}
	copy(auth.Key[:], password)
	return auth, nil
}

// Advertisement is the one message of VRRP, in Go's units.
type Advertisement struct {
	Version   uint8         // Version2 or Version3
	VRID      uint8         // virtual router, 1 to 255
	Priority  uint8         // PriorityStop, 1 to 254, or PriorityOwner
	Interval  time.Duration // VRRPv2: 1 s to 255 s; VRRPv3: 10 ms to 40.95 s
	Addresses []netip.Addr  // IPv4, except in Decoded; nil when the advertisement names none
	Auth      Auth          // VRRPv2 only
}

// Parse reads one advertisement from the payload of an IPv4 packet that went from src to dst.
//
// Every error is a *PacketError which names keepalived's counter and wraps ErrMalformed; the advertisement is then
// the zero value. Parse judges the bytes alone, in keepalived's order: whether VRID, version, interval or password are the
// expected ones is the listener's business. Without addresses it does not allocate.
func Parse(payload []byte, src, dst netip.Addr, mode ChecksumMode) (Advertisement, error) {
	s, err := shapeOf(payload, netip.IPv4Unspecified())
	if err != nil {
		return Advertisement{}, err
	}
	if len(payload) != s.size() {
		return Advertisement{}, s.wrongLength(payload)
	}
	advert, err := s.header(payload)
	if err != nil {
		return Advertisement{}, err
	}
	if advert.Auth.Type == AuthAH {
		return Advertisement{}, malformed(ReasonAuthMismatch, "authentication %v without its header", AuthAH)
	}
	if !checksumOK(payload, src, dst, mode) {
		return Advertisement{}, malformed(ReasonChecksum, "checksum %#04x", binary.BigEndian.Uint16(payload[checksumOffset:]))
	}
	advert.Addresses = s.addresses(payload)
	return advert, nil
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

// shape is how a message is laid out, as its first bytes say.
type shape struct {
	version    uint8
	count      int // addresses
	addressLen int // of each
	authLen    int
}

// shapeOf tells IPv4 from IPv6 by the packet's source. keepalived sends no authentication data over IPv6, in VRRPv2 either.
func shapeOf(payload []byte, src netip.Addr) (shape, error) {
	if len(payload) < headerLen {
		return shape{}, malformed(ReasonLength, "%d bytes, want at least %d", len(payload), headerLen)
	}
	s := shape{version: payload[0] >> 4, count: int(payload[3]), addressLen: addressLen}
	if s.version != Version2 && s.version != Version3 {
		return shape{}, malformed(ReasonVersion, "version %d", s.version)
	}
	switch {
	case src.Is6():
		s.addressLen = addressLen6
	case s.version == Version2:
		s.authLen = authLen
	}
	return s, nil
}

func (s shape) size() int { return headerLen + s.count*s.addressLen + s.authLen }

func (s shape) wrongLength(payload []byte) error {
	return malformed(ReasonLength, "%d bytes with %d addresses, want %d", len(payload), s.count, s.size())
}

// header reads all but the addresses of a message that has the right length.
func (s shape) header(message []byte) (Advertisement, error) {
	kind, vrid, priority := message[0]&0x0f, message[1], message[2]
	auth, err := s.auth(message)
	if err != nil {
		return Advertisement{}, err
	}
	interval := s.interval(message)
	switch {
	case interval == 0:
		return Advertisement{}, malformed(ReasonInterval, "interval 0")
	case kind != typeAdvert:
		return Advertisement{}, malformed(ReasonType, "packet type %d", kind)
	case vrid == 0:
		return Advertisement{}, malformed(ReasonVRID, "virtual router 0")
	}
	return Advertisement{Version: s.version, VRID: vrid, Priority: priority, Interval: interval, Auth: auth}, nil
}

// auth returns a key for AuthPass only: RFC 3768 section 5.3.10 has receivers ignore those bytes without authentication, and under
// AH the key is in another header.
func (s shape) auth(message []byte) (Auth, error) {
	if s.version != Version2 {
		return Auth{}, nil
	}
	switch kind := AuthType(message[4]); {
	case kind == AuthPass && s.authLen > 0:
		return Auth{Type: AuthPass, Key: [authLen]byte(message[len(message)-authLen:])}, nil
	case kind == AuthNone, kind == AuthPass, kind == AuthAH:
		return Auth{Type: kind}, nil
	default:
		return Auth{}, malformed(ReasonAuthType, "authentication type %d", kind)
	}
}

// interval masks the four reserved bits of VRRPv3, which RFC 9568 section 5.2.6 has receivers ignore.
func (s shape) interval(message []byte) time.Duration {
	if s.version == Version2 {
		return time.Duration(message[5]) * unitV2
	}
	return time.Duration(binary.BigEndian.Uint16(message[4:])&maxUnitsV3) * unitV3
}

// addresses returns nil for none.
func (s shape) addresses(message []byte) []netip.Addr {
	if s.count == 0 {
		return nil
	}
	addresses := make([]netip.Addr, s.count)
	for i := range addresses {
		octets := message[headerLen+i*s.addressLen:]
		if s.addressLen == addressLen6 {
			addresses[i] = netip.AddrFrom16([addressLen6]byte(octets))
		} else {
			addresses[i] = netip.AddrFrom4([addressLen]byte(octets))
		}
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
		return fmt.Errorf("authentication %v with a key: want %v", a.Type, AuthPass)
	default:
		return nil
	}
}
