// Package keyring holds what a node proves itself with and what it knows others by: its certificate and key, the certificate
// authorities that it trusts, and the fingerprints that it does not. All of them come from files that may change while the node runs;
// each handshake uses what is newest and whole.
//
// It implements election.Security. Who may do what after the handshake is decided there.
package keyring

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// lookEvery is between two looks at the files, lookAgain after one that found them unusable: a pair is replaced one by one.
	lookEvery = time.Minute
	lookAgain = 5 * time.Second
	// lookPause is the least time between two looks: strangers can make handshakes fail as often as they like.
	lookPause = time.Second
)

// Config names the node and its files. They are read again while the node runs.
type Config struct {
	Cluster, Node string
	// CA is the file with the certificates of all certificate authorities that are trusted: one, or two while one replaces the other.
	CA string
	// Cert is the file with the node's certificate, followed by intermediate ones if there are any.
	Cert string
	// Key is the file with the private key, which nobody but its owner may read.
	Key string
	// Revoked returns the fingerprints that are refused, "sha256:" and hexadecimal digits. It is called at each look. Nil: none are.
	Revoked func() ([]string, error)
	// Logger may be nil.
	Logger *zap.Logger
}

// Keyring is safe for use by several goroutines.
type Keyring struct {
	cfg     Config
	log     *zap.Logger
	current atomic.Pointer[material]
	nudge   chan struct{} // one slot: look now; a second reason to look adds nothing
	changed chan struct{} // one slot, the same way
}

// Open reads the files. Its errors are sentences for the operator that name the file and the remedy: one that is missing or readable by
// others, a key that does not belong to the certificate, a certificate that is not this node's, or one that no other node would accept
// today, because it has expired, say. Nothing is started.
func Open(cfg Config) (*Keyring, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	m, err := load(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	k := &Keyring{cfg: cfg, log: cfg.Logger, nudge: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
	k.current.Store(m)
	return k, nil
}

// Run looks at the files every minute, and soon after a handshake failed, until ctx ends. It also warns of the end of the certificate.
// It returns nil.
func (k *Keyring) Run(ctx context.Context) error {
	var complaint string
	var warned warning
	for wait := time.Duration(0); ; {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-k.nudge:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		wait = lookEvery
		if err := k.look(time.Now()); err != nil {
			wait = lookAgain
			if text := err.Error(); text != complaint {
				complaint = text
				k.log.Warn("the certificate files cannot be used, this node goes on with what it read before", zap.Error(err))
			}
		} else {
			complaint = ""
		}
		warned = k.warn(warned, time.Now())
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// Recheck makes Run look at the files soon. It never blocks.
func (k *Keyring) Recheck() { notify(k.nudge) }

// Changed gets a value whenever something was read that differs from what was used before. It has one slot, and is for one reader.
func (k *Keyring) Changed() <-chan struct{} { return k.changed }

// look takes what is in the files, if it is whole.
func (k *Keyring) look(now time.Time) error {
	next, err := load(k.cfg, now)
	if err != nil {
		k.revoke()
		return err
	}
	if next.same(k.current.Load()) {
		return nil
	}
	k.current.Store(next)
	k.log.Info("read the certificate files anew", zap.Stringer("certificate", next.subject), zap.String("fingerprint", next.fingerprint),
		zap.Time("not_after", next.until), zap.Int("authorities", next.authorities), zap.Int("revoked", len(next.revoked)))
	notify(k.changed)
	return nil
}

// revoke takes the revoked fingerprints alone. A thief's certificate must not be good for as long as this node's own files are not, which
// may be revoked themselves.
func (k *Keyring) revoke() {
	revoked, err := readRevoked(k.cfg)
	next := *k.current.Load()
	if err != nil || maps.Equal(revoked, next.revoked) { // load has complained
		return
	}
	next.revoked = revoked
	k.current.Store(&next)
	k.log.Info("read the revoked fingerprints anew", zap.Int("revoked", len(revoked)))
	notify(k.changed)
}

func notify(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}

// Expiry is when the first certificate of the chain ends that others know this node by.
type Expiry struct {
	// Certificate says whose it is, for people.
	Certificate string
	NotAfter    time.Time
}

// Expiry returns that of the certificate in use.
func (k *Keyring) Expiry() Expiry {
	m := k.current.Load()
	return Expiry{Certificate: m.ends, NotAfter: m.until}
}

// warning is the last one that was given.
type warning struct {
	stage int
	at    time.Time
}

// stages are the times before the end at which a warning is given, and then once each day.
func stageOf(left time.Duration) int {
	const day = 24 * time.Hour
	stage := 0
	for _, limit := range []time.Duration{30 * day, 7 * day, day, 0} {
		if left <= limit {
			stage++
		}
	}
	return stage
}

func (k *Keyring) warn(last warning, now time.Time) warning {
	e := k.Expiry()
	left := e.NotAfter.Sub(now)
	stage := stageOf(left)
	if stage == 0 || stage == last.stage && now.Sub(last.at) < 24*time.Hour {
		return warning{stage: stage, at: last.at}
	}
	fields := []zap.Field{zap.String("certificate", e.Certificate), zap.Time("not_after", e.NotAfter), zap.String("remedy", remedy(k.cfg.Node))}
	switch {
	case left <= 0:
		k.log.Error("the certificate has expired: the other nodes refuse this one", fields...)
	case stage == 1:
		k.log.Warn("the certificate expires in "+days(left), fields...)
	default:
		k.log.Error("the certificate expires in "+days(left), fields...)
	}
	return warning{stage: stage, at: now}
}

func days(left time.Duration) string {
	if n := int(left / (24 * time.Hour)); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}

// remedy is how a node gets a certificate.
func remedy(node string) string {
	return fmt.Sprintf("make one with 'hacluster tls cert create --node %s' and put it in its place; the agent takes it within a minute", node)
}
