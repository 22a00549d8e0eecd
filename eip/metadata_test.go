package eip

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestProbeMetadata(t *testing.T) {
	serve := func(h http.Handler) func(*testing.T) string {
		return func(t *testing.T) string {
			srv := httptest.NewServer(h)
			t.Cleanup(srv.Close)
			return srv.URL
		}
	}
	for _, tc := range []struct {
		name     string
		endpoint func(*testing.T) string
		want     error
	}{
		{"a token", serve(newFake(t).IMDS()), nil},
		{"switched off", serve(answering(http.StatusForbidden)), ErrMetadataRefused},
		{"version 1 only", serve(answering(http.StatusNotFound)), ErrMetadataRefused},
		{"nobody there", func(*testing.T) string { return "http://127.0.0.1:1" }, ErrMetadataUnreachable},
		{"connected, and no answer", silent, ErrMetadataSilent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if errors.Is(tc.want, ErrMetadataSilent) {
				defer time.AfterFunc(time.Second, cancel).Stop()
			}
			if err := ProbeMetadata(ctx, tc.endpoint(t)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

// silent takes connections as a kernel does, and never says anything.
func silent(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String()
}

func TestReadMetadata(t *testing.T) {
	fake := newFake(t)
	srv := httptest.NewServer(fake.IMDS())
	defer srv.Close()
	second := netip.MustParseAddr("10.20.0.111")
	check := func(public map[netip.Addr]netip.Addr) {
		t.Helper()
		md, err := ReadMetadata(t.Context(), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		if md.InstanceID != "i-a" || md.Region != testRegion || len(md.Interfaces) != 1 {
			t.Fatalf("%+v", md)
		}
		i := md.Interfaces[0]
		if i.ENI != "eni-a" || len(i.Addresses) != 2 || i.Addresses[0] != here().PrivateIP || i.Addresses[1] != second || len(i.Public) != len(public) {
			t.Errorf("%+v, want public %v", i, public)
		}
		for private, ip := range public {
			if i.Public[private] != ip {
				t.Errorf("the public address of %s is %s, want %s", private, i.Public[private], ip)
			}
		}
	}
	check(nil)
	if _, err := fake.Associate(string(testAlloc), second); err != nil {
		t.Fatal(err)
	}
	check(map[netip.Addr]netip.Addr{second: publicIP()})
}
