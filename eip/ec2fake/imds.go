package ec2fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	maxTokenTTL = 21600 // seconds
)

// tokens are the session tokens of IMDSv2 that were handed out.
type tokens struct {
	mu     sync.Mutex
	issued map[string]token
	made   int64
}

type token struct {
	instance string
	expires  time.Time
}

func (t *tokens) issue(instance string, ttl time.Duration, now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, old := range t.issued {
		if !now.Before(old.expires) {
			delete(t.issued, id)
		}
	}
	t.made++
	id := digest("token", t.made)
	t.issued[id] = token{instance: instance, expires: now.Add(ttl)}
	return id
}

func (t *tokens) valid(id, instance string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.issued[id]
	return ok && known.instance == instance && now.Before(known.expires)
}

// IMDS returns the handler of the instance metadata service, version 2 only (EC2 user guide, "Use the Instance Metadata
// Service"). Who asks is told by the source address; a stranger gets 403.
func (s *Server) IMDS() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", s.serveToken)
	mux.HandleFunc("GET /latest/", s.serveMetadata)
	return mux
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	i := s.instanceAt(r)
	if i == nil || r.Header.Get("X-Forwarded-For") != "" {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxTokenTTL {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	fmt.Fprint(w, s.tokens.issue(i.ID, time.Duration(ttl)*time.Second, s.cfg.Now()))
}

func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	i := s.instanceAt(r)
	if i == nil {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	if !s.tokens.valid(r.Header.Get(tokenHeader), i.ID, s.cfg.Now()) {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	text, ok := lookup(s.metadata(i), strings.TrimPrefix(r.URL.Path, "/latest/"))
	if !ok {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, text)
}

// lookup returns a value, or the listing of a directory, whose sub-directories end in a slash.
func lookup(tree map[string]string, path string) (string, bool) {
	path = strings.TrimSuffix(path, "/")
	if value, ok := tree[path]; ok {
		return value, true
	}
	var names []string
	for key := range tree {
		rest, ok := strings.CutPrefix(key, path+"/")
		if !ok {
			continue
		}
		name, _, directory := strings.Cut(rest, "/")
		if directory {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n"), len(names) > 0
}

// metadata is all that an instance can read about itself.
func (s *Server) metadata(i *instance) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	nic := "meta-data/network/interfaces/macs/" + i.mac + "/"
	tree := map[string]string{
		"meta-data/instance-id":                 i.ID,
		"meta-data/mac":                         i.mac,
		"meta-data/local-ipv4":                  i.PrivateIPs[0].String(),
		"meta-data/placement/region":            s.cfg.Region,
		"meta-data/placement/availability-zone": i.AZ,
		nic + "interface-id":                    i.ENI,
		nic + "mac":                             i.mac,
		nic + "device-number":                   "0",
		nic + "owner-id":                        s.cfg.Account,
		nic + "local-ipv4s":                     strings.Join(addressStrings(i.PrivateIPs), "\n"),
	}
	var publics []string
	for _, ip := range i.PrivateIPs {
		if a := s.account.withPrivate(ip); a != nil {
			publics = append(publics, a.PublicIP.String())
			tree[nic+"ipv4-associations/"+a.PublicIP.String()] = ip.String()
		}
	}
	if len(publics) > 0 {
		tree["meta-data/public-ipv4"] = publics[0]
		tree[nic+"public-ipv4s"] = strings.Join(publics, "\n")
	}
	tree["meta-data/iam/security-credentials/"+s.cfg.Role] = s.credentials(i)
	tree["dynamic/instance-identity/document"] = s.document(i)
	return tree
}

func (s *Server) credentials(i *instance) string {
	key := s.keys.session(i.ID, s.cfg.SessionLifetime, s.cfg.Now())
	return indented(map[string]string{
		"Code": "Success", "Type": "AWS-HMAC",
		"LastUpdated": key.issued.UTC().Format(time.RFC3339), "Expiration": key.expires.UTC().Format(time.RFC3339),
		"AccessKeyId": key.ID, "SecretAccessKey": key.Secret, "Token": key.Token,
	})
}

func (s *Server) document(i *instance) string {
	return indented(map[string]string{
		"accountId": s.cfg.Account, "architecture": "x86_64", "availabilityZone": i.AZ, "imageId": "ami-00000000000000000",
		"instanceId": i.ID, "instanceType": "t3.micro", "privateIp": i.PrivateIPs[0].String(), "region": s.cfg.Region,
		"version": "2017-09-30",
	})
}

func indented(fields map[string]string) string {
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		panic("encode metadata: " + err.Error()) // a map of strings: cannot happen
	}
	return string(text)
}
