package ec2fake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// signatureLife is how old a signature may be, and how far ahead ("Error codes for the Amazon EC2 API", RequestExpired; the
	// IAM user guide says five minutes "in most cases").
	signatureLife = 15 * time.Minute
)

// signature is the Authorization header taken apart (IAM user guide, "Create a signed AWS API request").
type signature struct {
	keyID, date, region, service string
	headers                      []string // lower case, in the order signed
	hex                          string
}

// parseSignature returns false if the header is no SigV4 header.
func parseSignature(header string) (signature, bool) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return signature{}, false
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return signature{}, false
	}
	return signature{
		keyID: scope[0], date: scope[1], region: scope[2], service: scope[3],
		headers: strings.Split(fields["SignedHeaders"], ";"), hex: fields["Signature"],
	}, true
}

// authenticate recomputes the signature of a request.
func (s *Server) authenticate(r *http.Request, body []byte) *apiError {
	header := r.Header.Get("Authorization")
	if header == "" {
		return &apiError{
			status: http.StatusForbidden, code: "MissingAuthenticationToken",
			message: "Request is missing Authentication Token",
		}
	}
	sig, ok := parseSignature(header)
	if !ok || !slices.Contains(sig.headers, "host") {
		return errClient("IncompleteSignature", "The request signature does not conform to AWS standards.")
	}
	now := s.cfg.Now()
	key, err := s.keys.find(sig.keyID, r.Header.Get("X-Amz-Security-Token"), now)
	if err != nil {
		return err
	}
	signed, parseErr := time.Parse(timeFormat, r.Header.Get("X-Amz-Date"))
	if parseErr != nil || signed.Format("20060102") != sig.date {
		return errClient("IncompleteSignature", "X-Amz-Date is missing or does not match the credential scope.")
	}
	if now.Sub(signed).Abs() > signatureLife {
		return errExpired()
	}
	if sig.region != s.cfg.Region || sig.service != "ec2" {
		return errNotValid("Credential should be scoped to a valid region and service.")
	}
	if !hmac.Equal([]byte(sig.hex), []byte(sig.compute(key.Secret, r, body))) {
		return errNotValid("The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

// compute signs the request as the client should have.
func (sig signature) compute(secret string, r *http.Request, body []byte) string {
	scope := strings.Join([]string{sig.date, sig.region, sig.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{algorithm, r.Header.Get("X-Amz-Date"), scope, hash(sig.canonical(r, body))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{sig.date, sig.region, sig.service, "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// canonical is the request in the form that is signed.
func (sig signature) canonical(r *http.Request, body []byte) []byte {
	var b bytes.Buffer
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + canonicalQuery(r.URL) + "\n")
	for _, name := range sig.headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(sig.headers, ";") + "\n" + hash(body))
	return b.Bytes()
}

func canonicalPath(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

func canonicalQuery(u *url.URL) string {
	return strings.ReplaceAll(u.Query().Encode(), "+", "%20")
}

// headerValue undoes what net/http does to two headers on receipt.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := make([]string, 0, 1)
	for _, v := range r.Header.Values(name) {
		values = append(values, strings.Join(strings.Fields(v), " "))
	}
	return strings.Join(values, ",")
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
