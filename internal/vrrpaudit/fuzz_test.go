package vrrpaudit

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hacluster/hacluster/internal/packets"
)

// FuzzCapture: whatever a file holds, the reader and the auditor end, and the report can be written both ways.
func FuzzCapture(f *testing.F) {
	files, err := filepath.Glob("testdata/*.pcap*")
	if err != nil || len(files) == 0 {
		f.Fatalf("no captures: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reader, err := packets.NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		audit := New(Options{})
		var p packets.Packet
		for err == nil {
			if p, err = reader.Next(); err == nil {
				audit.Add(p)
				_ = Describe(p).String()
			}
		}
		report := audit.Report("fuzz", reader.Stats(), err)
		if _, err := json.Marshal(report); err != nil {
			t.Errorf("write as JSON: %v", err)
		}
		if err := report.WriteText(io.Discard); err != nil {
			t.Errorf("write as text: %v", err)
		}
		if report.Verdict == Clean && report.Violations > 0 {
			t.Errorf("clean, with %d violations", report.Violations)
		}
	})
}
