package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hacluster/hacluster/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFindingsKeepTheOrderOfTheChecks(t *testing.T) {
	secondIsDone := make(chan struct{})
	found := runAll(t.Context(), time.Minute, []check{
		{"first", func(context.Context) []Finding {
			<-secondIsDone // checks run beside one another
			return []Finding{pass("one"), warn("two", "do it")}
		}},
		{"second", func(context.Context) []Finding { defer close(secondIsDone); return []Finding{fail("three", "")} }},
	})
	want := []Finding{{Check: "first", Status: Pass, Text: "one"}, {Check: "first", Status: Warn, Text: "two", Remedy: "do it"},
		{Check: "second", Status: Fail, Text: "three"}}
	if !slices.Equal(found, want) {
		t.Errorf("%+v", found)
	}
}

// A check that hangs, on a dead disk say, takes nothing from the others and ends in a failure of its own.
func TestLateCheckFails(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	found := runAll(t.Context(), time.Second, []check{
		{"stuck", func(context.Context) []Finding { defer close(ended); <-release; return []Finding{pass("too late")} }},
		{"quick", func(context.Context) []Finding { return []Finding{pass("in time")} }},
	})
	if len(found) != 2 || found[0].Status != Fail || found[0].Check != "stuck" || found[1].Text != "in time" {
		t.Errorf("%+v", found)
	}
	close(release)
	<-ended
}

func report() Report {
	return Report{Cluster: "edge-1", Node: "lb-2", Findings: []Finding{
		{Check: "config", Status: Pass, Text: "cluster edge-1, this is lb-2 of 3 nodes, profile default"},
		{Check: "data-dir", About: "space", Status: Warn, Text: "120 MiB are free for /var/lib/hacluster", Remedy: "make room"},
		{Check: "iam", About: "ec2:AssociateAddress", Status: Fail, Text: "associate address eipalloc-1: UnauthorizedOperation: no\nreally not",
			Remedy: "allow ec2:AssociateAddress in the policy of the instance role"},
		{Check: "vrrp", About: "lb-3", Status: Skip, Text: "not known as long as neither of the two is Master"},
	}}
}

func TestReport(t *testing.T) {
	for name, write := range map[string]func(*bytes.Buffer) error{
		"report.txt":  func(b *bytes.Buffer) error { return report().WriteText(b) },
		"report.json": func(b *bytes.Buffer) error { return report().WriteJSON(b) },
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		path := "testdata/" + name
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s (rewrite it with -update):\n%s", name, out.String())
		}
	}
	var back Report
	var out bytes.Buffer
	if err := errors.Join(report().WriteJSON(&out), json.Unmarshal(out.Bytes(), &back)); err != nil || !slices.Equal(back.Findings, report().Findings) {
		t.Errorf("read back %+v, %v", back, err)
	}
}

// Every problem of a file is a finding with its remedy, and a file that is not there is one finding.
func TestUnreadable(t *testing.T) {
	r := Unreadable(config.Errors{
		{File: "x.yaml", Line: 3, Key: "nodes", What: "1 nodes are too few", Remedy: "add one"}, {File: "x.yaml", Line: 9, Key: "eip", What: "is missing"},
	})
	want := []Finding{{Check: "config", Status: Fail, Text: "x.yaml:3: nodes: 1 nodes are too few", Remedy: "add one"},
		{Check: "config", Status: Fail, Text: "x.yaml:9: eip: is missing"}}
	if !slices.Equal(r.Findings, want) {
		t.Errorf("%+v", r.Findings)
	}
	if r := Unreadable(os.ErrNotExist); len(r.Findings) != 1 || !r.Failed() {
		t.Errorf("%+v", r)
	}
}

// docs/DOCTOR.md has one section for each check, in the order of the report.
func TestEachCheckHasItsSection(t *testing.T) {
	text, err := os.ReadFile("../../docs/DOCTOR.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^### (\S+)$`).FindAllSubmatch(text, -1) {
		sections = append(sections, string(m[1]))
	}
	if !slices.Equal(sections, Names()) {
		t.Errorf("the sections of docs/DOCTOR.md are %q, the checks %q", sections, Names())
	}
}
