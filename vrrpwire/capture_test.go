package vrrpwire

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// captured is one advert of a golden capture.
type captured struct {
	at       time.Time
	from     netip.Addr
	advert   Advertisement
	encoded  []byte // by us, from the decoded advert
	original []byte
}

func readCapture(t *testing.T, name string) []captured {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := pcapgo.NewReader(file)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	var all []captured
	for {
		data, info, err := reader.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		all = append(all, decodeCaptured(t, gopacket.NewPacket(data, reader.LinkType(), gopacket.Default), info.Timestamp))
	}
}

func decodeCaptured(t *testing.T, frame gopacket.Packet, at time.Time) captured {
	t.Helper()
	ip, ok := frame.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	if !ok {
		t.Fatalf("no IPv4 in the frame at %v", at)
	}
	src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
	dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
	advert, err := Parse(ip.Payload, src, dst, ChecksumPseudoHeader)
	if err != nil {
		t.Fatalf("packet of %v at %v: %v", src, at, err)
	}
	encoded, err := advert.Append(nil, src, dst, ChecksumPseudoHeader)
	if err != nil {
		t.Fatalf("packet of %v at %v: %v", src, at, err)
	}
	return captured{at: at, from: src, advert: advert, encoded: encoded, original: ip.Payload}
}

// run is a number of equal adverts of one sender in a row.
type run struct {
	From     netip.Addr
	Count    int
	Priority uint8
	Interval time.Duration
}

func runs(adverts []captured) []run {
	var all []run
	for _, c := range adverts {
		next := run{From: c.from, Count: 1, Priority: c.advert.Priority, Interval: c.advert.Interval}
		if n := len(all); n > 0 {
			if last := &all[n-1]; last.From == next.From && last.Priority == next.Priority && last.Interval == next.Interval {
				last.Count++
				continue
			}
		}
		all = append(all, next)
	}
	return all
}

// Each capture tells a story of two keepalived, A (10.99.0.1, priority 101) and B (10.99.0.2, priority 100).
func TestGoldenCaptures(t *testing.T) {
	const second, half = time.Second, 500 * time.Millisecond
	tests := map[string]struct {
		version   uint8
		addresses []netip.Addr
		story     []run
	}{
		"t1.pcap": {version: 2, story: []run{
			{hostA, 3, 101, second}, {hostA, 2, 0, second}, // to FAULT: twice priority 0
			{hostB, 7, 100, second},
			{hostA, 5, 101, second}, {hostA, 1, 0, second}, // preempts, then stops: once
			{hostB, 3, 100, second}, {hostB, 1, 0, second},
		}},
		"t4.pcap": {version: 3, addresses: []netip.Addr{vip}, story: []run{
			{hostA, 10, 101, half}, {hostA, 1, 0, half},
			{hostB, 3, 100, second}, {hostB, 1, 0, second},
		}},
		"t6.pcap": {version: 2, story: []run{
			{hostA, 7, 101, second}, {hostA, 1, 0, second},
			{hostB, 9, 100, second}, {hostA, 1, 101, second}, {hostB, 1, 100, second}, // 1.2.13 answers once more
			{hostA, 7, 101, second}, {hostA, 1, 0, second},
			{hostB, 4, 100, second}, {hostB, 1, 0, second},
		}},
		"t10.pcap": {version: 2, story: []run{
			{hostA, 6, 101, second}, {hostA, 1, 0, second},
			{hostB, 6, 100, second}, {hostA, 5, 101, second}, {hostA, 1, 0, second},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			adverts := readCapture(t, name)
			for _, c := range adverts {
				if c.advert.Version != test.version || c.advert.VRID != 51 || c.advert.Auth != (Auth{}) {
					t.Errorf("at %v: %+v, want VRRPv%d of VRID 51 without authentication", c.at, c.advert, test.version)
				}
				if diff := cmp.Diff(test.addresses, c.advert.Addresses, sameAdvert); diff != "" {
					t.Errorf("at %v: addresses (-want +got):\n%s", c.at, diff)
				}
				if diff := cmp.Diff(c.original, c.encoded); diff != "" {
					t.Errorf("at %v: encoded again, it is not what keepalived sent:\n%s", c.at, diff)
				}
			}
			if diff := cmp.Diff(test.story, runs(adverts), sameAdvert); diff != "" {
				t.Errorf("the story (-want +got):\n%s", diff)
			}
		})
	}
}

// After priority 0 the Backup waits for its skew alone: what a planned hand-over costs a keepalived pair.
func TestCapturedSkew(t *testing.T) {
	tests := map[string]struct {
		interval time.Duration // which the Backup goes by
		version  uint8
	}{
		"t1.pcap": {interval: time.Second, version: 2},
		"t4.pcap": {interval: 500 * time.Millisecond, version: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			adverts := readCapture(t, name)
			takeovers := 0
			for i := 1; i < len(adverts); i++ {
				before, after := adverts[i-1], adverts[i]
				if before.advert.Priority != PriorityStop || after.from == before.from {
					continue
				}
				takeovers++
				want := SkewTime(after.advert.Priority, test.interval, test.version)
				if got := after.at.Sub(before.at); got < want || got > want+5*time.Millisecond {
					t.Errorf("taken over %v after priority 0, want the skew of %v", got, want)
				}
			}
			if takeovers == 0 {
				t.Fatal("the capture shows no takeover after priority 0")
			}
		})
	}
}
