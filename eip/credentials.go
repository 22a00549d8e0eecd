package eip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// refreshEvery is how often the age of the credentials is looked at.
	refreshEvery = 20 * time.Second
	// refreshLead is how long before their expiry new ones are fetched. The SDK dates the expiry of role credentials back by
	// five minutes, so the old ones are still good while this goes on.
	refreshLead = 2 * time.Minute
	// fetchWithin bounds how long a call waits for fresh credentials if it has others that may still do.
	fetchWithin = 500 * time.Millisecond
)

// errNoCredentials marks the errors of a credentials provider, so that the operator can be told.
var errNoCredentials = errors.New("no AWS credentials")

// credentialStore holds what calls are signed with. The SDK's cache fetches on the call that finds the credentials expired;
// the store fetches before that, so that a failover does not wait for IMDS.
type credentialStore struct {
	source aws.CredentialsProvider // the SDK's cache

	mu      sync.Mutex
	held    aws.Credentials
	err     error // of the last fetch
	refused bool  // EC2 has refused those held
}

// Retrieve returns credentials that have not expired, or asks for some. If that fails it returns the expired ones: IMDS may be
// down while EC2 still honours them, and EC2 is the judge of that.
func (s *credentialStore) Retrieve(ctx context.Context) (aws.Credentials, error) {
	held, _ := s.newest()
	if !held.HasKeys() {
		return s.fetch(ctx)
	}
	if !held.Expired() {
		return held, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	if fresh, err := s.fetch(ctx); err == nil {
		return fresh, nil
	}
	return held, nil
}

func (s *credentialStore) newest() (aws.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, s.err
}

func (s *credentialStore) fetch(ctx context.Context) (aws.Credentials, error) {
	creds, err := s.source.Retrieve(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.held, s.refused = creds, false
	}
	return creds, err
}

// judge takes in what EC2 said to a call. Another role of the instance has other credentials at once, and those of the old one expire later.
func (s *credentialStore) judge(code string) {
	switch code {
	case codeAuthFailure, codeSignature, codeInvalidClientID, codeRequestExpired, "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused = true
	}
}

func (s *credentialStore) isRefused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// run fetches new credentials before the ones held expire, until ctx ends.
func (s *credentialStore) run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.refresh(ctx)
		}
	}
}

// refresh fetches new credentials if the ones held are about to expire, or are refused. What goes wrong is kept for Warm; the next tick tries
// again.
func (s *credentialStore) refresh(ctx context.Context) {
	held, _ := s.newest()
	if expiring := held.CanExpire && time.Until(held.Expires) <= refreshLead; !expiring && !s.isRefused() {
		return
	}
	if cache, ok := s.source.(interface{ Invalidate() }); ok {
		cache.Invalidate()
	}
	ctx, cancel := context.WithTimeout(ctx, refreshEvery)
	defer cancel()
	_, _ = s.fetch(ctx)
}
