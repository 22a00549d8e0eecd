package costs

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hacluster/hacluster/internal/lab/show"
)

var update = flag.Bool("update", false, "rewrite testdata/costs.md with what is written now")

// Ninety seconds, so that no rate is the count.
func TestBetween(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	before := sample{
		at:      begin,
		process: process{CPU: 10 * time.Second, Wakeups: 1000, Written: 4096, RSS: 1 << 20, Peak: 1 << 20, Anon: 1 << 10, Threads: 5},
		flows:   map[Class]flow{VRRP: {Sent: count{100, 6000}}},
		applied: 7, lines: 20, calls: map[string]int{"DescribeAddresses": 3, "AssociateAddress": 1},
	}
	after := sample{
		at:      begin.Add(90 * time.Second),
		process: process{CPU: 10*time.Second + 450*time.Millisecond, Wakeups: 10_000, Written: 8192, RSS: 3 << 20, Peak: 4 << 20, Anon: 2 << 10, Threads: 6},
		flows:   map[Class]flow{VRRP: {Sent: count{1000, 60_000}}, Cluster: {Received: count{45, 4500}}},
		applied: 8, lines: 23, calls: map[string]int{"DescribeAddresses": 5, "AssociateAddress": 1},
	}
	want := Node{
		CPU: 0.5, Wakeups: 100,
		Size: Size{RSS: 3 << 20, Peak: 4 << 20, Anon: 2 << 10, Threads: 6},
		Wire: map[Class]Traffic{
			VRRP:    {Sent: Rate{10, 600}},
			Cluster: {Received: Rate{0.5, 50}},
			AWS:     {},
		},
		Calls:   map[string]float64{"DescribeAddresses": 80},
		Entries: 40, Lines: 120, Written: 4096 * 40,
	}
	if diff := cmp.Diff(want, between(before, after), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStrain(t *testing.T) {
	if busy, stolen := strain(machineTime{1000, 900, 10}, machineTime{3000, 2400, 60}); busy != 22.5 || stolen != 2.5 {
		t.Errorf("busy %v %%, stolen %v %%, want 22.5 and 2.5", busy, stolen)
	}
	if busy, stolen := strain(machineTime{1000, 10, 1}, machineTime{1000, 10, 1}); busy != 0 || stolen != 0 {
		t.Errorf("busy %v %%, stolen %v %% of no time", busy, stolen)
	}
}

func TestRoles(t *testing.T) {
	p := Profile{Nodes: []Node{
		{Name: "node-a", Role: roleBackup, CPU: 1, Wakeups: 10, Size: Size{RSS: 5, Peak: 9, Anon: 4, Threads: 7},
			Wire: map[Class]Traffic{VRRP: {Received: Rate{10, 540}}}, Calls: map[string]float64{"DescribeAddresses": 60}, Lines: 2},
		{Name: "node-b", Role: roleMaster, CPU: 5, Entries: 3, Written: 4},
		{Name: "node-c", Role: roleBackup, CPU: 2, Wakeups: 30, Size: Size{RSS: 6, Peak: 8, Anon: 2, Threads: 6},
			Wire: map[Class]Traffic{VRRP: {Received: Rate{20, 1080}}}, Calls: map[string]float64{"DescribeAddresses": 40}},
	}}
	want := []Node{
		{Role: roleMaster, CPU: 5, Entries: 3, Written: 4, Wire: map[Class]Traffic{}, Calls: map[string]float64{}},
		{Role: roleBackup, CPU: 1.5, Wakeups: 20, Size: Size{RSS: 6, Peak: 9, Anon: 4, Threads: 7},
			Wire: map[Class]Traffic{VRRP: {Received: Rate{15, 810}}}, Calls: map[string]float64{"DescribeAddresses": 50}, Lines: 1},
	}
	if diff := cmp.Diff(want, p.Roles(), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCountCalls(t *testing.T) {
	log := `{"seq":1,"instance":"i-a","action":"DescribeAddresses"}
{"seq":2,"instance":"i-b","action":"AssociateAddress"}
{"seq":3,"instance":"i-a","action":"DescribeAddresses"}
`
	want := map[string]map[string]int{"i-a": {"DescribeAddresses": 2}, "i-b": {"AssociateAddress": 1}}
	got, err := countCalls(strings.NewReader(log))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if got, err := countCalls(strings.NewReader(`{"seq":1`)); err == nil {
		t.Errorf("a line that was cut: %v", got)
	}
}

// TestMarkdown: after a change, go test -run TestMarkdown -update, and read the diff.
func TestMarkdown(t *testing.T) {
	report := Report{
		Machine:  show.Machine{CPU: "some CPU", CPUs: 2, MemoryMB: 4096, Kernel: "6.1.0"},
		Versions: map[string]string{"hacluster": "hacluster v1.0.0"},
		Date:     time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		Program:  Program{Bytes: 14 << 20, Stripped: true},
		Profiles: []Profile{{
			Name: "default", Seconds: 180.04, Busy: 12.3, Stolen: 0.5, Starts: []float64{240, 230, 250.4, 260}, AskMS: 8.8,
			Nodes: []Node{
				{Name: "node-a", Role: roleMaster, CPU: 0.87, Wakeups: 123.4, Size: Size{RSS: 21 << 20, Peak: 22 << 20, Anon: 8 << 20, Threads: 8},
					Wire:  map[Class]Traffic{VRRP: {Sent: Rate{20, 1080}}, Cluster: {Sent: Rate{97.5, 9999.9}, Received: Rate{53.2, 5000}}},
					Calls: map[string]float64{"DescribeAddresses": 60, "AssociateAddress": 20}},
				{Name: "node-b", Role: roleBackup, CPU: 0.051, Lines: 20, Written: 4096},
			},
		}, {Name: "fast", Nodes: []Node{{Name: "node-a", Role: roleMaster}, {Name: "node-b", Role: roleBackup}}}},
	}
	const file = "costs.md"
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(report.Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), report.Markdown()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadProgram(t *testing.T) {
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ReadProgram(me)
	if err != nil || p.Bytes < 1<<20 {
		t.Errorf("this program: %+v, %v", p, err)
	}
	if p, err := ReadProgram("costs_test.go"); err == nil {
		t.Errorf("a text is a program: %+v", p)
	}
}
