package vrrpwire

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Rewrites testdata/*.txt from what the package says now; review the diff.
var update = flag.Bool("update", false, "rewrite the golden files")

// captured is one advert of a golden capture.
type captured struct {
	at       time.Time
	from, to netip.Addr
	payload  []byte
	advert   Decoded
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
	const ahLen = 24 // of HMAC-MD5-96
	c := captured{at: at}
	switch ip := frame.NetworkLayer().(type) {
	case *layers.IPv4:
		c.from, c.to, c.payload = addrOf(ip.SrcIP), addrOf(ip.DstIP), ip.Payload
		if ip.Protocol == layers.IPProtocolAH {
			c.payload = c.payload[ahLen:]
		}
	case *layers.IPv6:
		c.from, c.to, c.payload = addrOf(ip.SrcIP), addrOf(ip.DstIP), ip.Payload
	default:
		t.Fatalf("no IP in the frame at %v", at)
	}
	var err error
	if c.advert, err = Decode(c.payload, c.from, c.to); err != nil {
		t.Fatalf("packet of %v at %v: %v", c.from, at, err)
	}
	return c
}

// TestGoldenPackets: every field of every packet of real keepalived, in testdata/NAME.txt, to be compared with the configurations that
// testdata/README.md names.
func TestGoldenPackets(t *testing.T) {
	captures, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, file := range captures {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			adverts := readCapture(t, name)
			for _, c := range adverts {
				if speaks(c) {
					wantSameBytes(t, c)
				}
				fmt.Fprintf(&text, "+%.6fs %v > %v %s\n", c.at.Sub(adverts[0].at).Seconds(), c.from, c.to, describe(c.advert))
			}
			checkGolden(t, strings.TrimSuffix(file, ".pcap")+".txt", text.String())
		})
	}
}

// speaks says whether hacluster can say the same.
func speaks(c captured) bool {
	return c.from.Is4() && c.advert.Auth.Type != AuthAH && c.advert.Checksum != FormOldUnicast
}

// wantSameBytes encodes what was decoded.
func wantSameBytes(t *testing.T, c captured) {
	t.Helper()
	encoded, err := c.advert.Append(nil, c.from, c.to, ChecksumPseudoHeader)
	if err != nil {
		t.Fatalf("packet of %v at %v: %v", c.from, c.at, err)
	}
	if diff := cmp.Diff(c.payload, encoded); diff != "" {
		t.Errorf("packet of %v at %v: encoded again, it is not what keepalived sent:\n%s", c.from, c.at, diff)
	}
}

func describe(d Decoded) string {
	return fmt.Sprintf("VRRPv%d vrid %d priority %d interval %v addresses %v auth %v %q checksum %s",
		d.Version, d.VRID, d.Priority, d.Interval, d.Addresses, d.Auth.Type, bytes.TrimRight(d.Auth.Key[:], "\x00"), d.Checksum)
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
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
func TestStories(t *testing.T) {
	const second, half = time.Second, 500 * time.Millisecond
	tests := map[string][]run{
		"t1.pcap": {
			{hostA, 3, 101, second}, {hostA, 2, 0, second}, // to FAULT: twice priority 0
			{hostB, 7, 100, second},
			{hostA, 5, 101, second}, {hostA, 1, 0, second}, // preempts, then stops: once
			{hostB, 3, 100, second}, {hostB, 1, 0, second},
		},
		"t4.pcap": {
			{hostA, 10, 101, half}, {hostA, 1, 0, half},
			{hostB, 3, 100, second}, {hostB, 1, 0, second},
		},
		"t6.pcap": {
			{hostA, 7, 101, second}, {hostA, 1, 0, second},
			{hostB, 9, 100, second}, {hostA, 1, 101, second}, {hostB, 1, 100, second}, // 1.2.13 answers once more
			{hostA, 7, 101, second}, {hostA, 1, 0, second},
			{hostB, 4, 100, second}, {hostB, 1, 0, second},
		},
		"t10.pcap": {
			{hostA, 6, 101, second}, {hostA, 1, 0, second},
			{hostB, 6, 100, second}, {hostA, 5, 101, second}, {hostA, 1, 0, second},
		},
	}
	for name, story := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(story, runs(readCapture(t, name)), sameAdvert); diff != "" {
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
