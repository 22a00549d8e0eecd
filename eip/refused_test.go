package eip

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestCredentialsThatEC2RefusesAreFetchedAnew: the instance has another role by now, and IMDS has its credentials. Those of the old one do not
// expire for an hour.
func TestCredentialsThatEC2RefusesAreFetchedAnew(t *testing.T) {
	keys := []string{"AKIAGONE", "AKIATEST"}
	var fetches atomic.Int32
	provider := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		n := int(fetches.Add(1))
		return aws.Credentials{AccessKeyID: keys[min(n, len(keys))-1], SecretAccessKey: "a secret", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
	}))
	inBubble(t, nil, func(b *bubble) {
		_, err := b.client.Observe(b.Context())
		wantClass(t, err, Denied)
		b.pass(2 * refreshEvery)
		b.read()
		b.pass(30 * time.Minute)
		if n := fetches.Load(); n != 2 {
			t.Errorf("fetched %d times, want once more", n)
		}
	}, func(cfg *Config) { cfg.Credentials = provider })
}
