package ec2fake

import (
	"crypto/hmac"
	"sync"
	"time"
)

// keyring holds the keys that requests may be signed with.
type keyring struct {
	mu       sync.Mutex
	keys     map[string]issuedKey
	sessions map[string]issuedKey // the newest role credentials, by instance id
	made     int64
	stale    bool // role credentials that are handed out have ended already
}

type issuedKey struct {
	AccessKey
	issued  time.Time
	expires time.Time // zero: never
}

func newKeyring(keys []AccessKey) *keyring {
	k := &keyring{keys: make(map[string]issuedKey), sessions: make(map[string]issuedKey)}
	for _, key := range keys {
		k.keys[key.ID] = issuedKey{AccessKey: key}
	}
	return k
}

// find returns the key of a request, whose session token must be the one that was handed out with it.
func (k *keyring) find(id, token string, now time.Time) (AccessKey, *apiError) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[id]
	if !ok || !hmac.Equal([]byte(key.Token), []byte(token)) {
		return AccessKey{}, errAuthFailure()
	}
	if !key.expires.IsZero() && !now.Before(key.expires) {
		return AccessKey{}, errExpired()
	}
	return key.AccessKey, nil
}

// session returns role credentials for an instance. New ones are made when less than half of the life of the last ones is
// left; the old ones stay valid until their end, as with EC2.
func (k *keyring) session(instance string, life time.Duration, now time.Time) issuedKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stale {
		life = -life
	} else if last, ok := k.sessions[instance]; ok && last.expires.Sub(now) > life/2 {
		return last
	}
	k.made++
	key := issuedKey{
		AccessKey: AccessKey{
			ID:     "ASIA" + upperDigits(digest("key", k.made))[:16],
			Secret: digest("secret", k.made)[:40],
			Token:  digest("session token", k.made) + digest("session token end", k.made),
		},
		issued: now, expires: now.Add(life),
	}
	k.keys[key.ID], k.sessions[instance] = key, key
	return key
}

// setStale makes role credentials that are handed out from now on end before they begin, or no more.
func (k *keyring) setStale(yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stale = yes
}

// upperDigits maps hex digits to the letters of access key ids.
func upperDigits(hex string) string {
	out := []byte(hex)
	for i, c := range out {
		if c <= '9' {
			out[i] = 'G' + c - '0'
		} else {
			out[i] = 'A' + c - 'a'
		}
	}
	return string(out)
}
