package lab

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAgentLog(t *testing.T) {
	log := agentLog{node: "node-a", path: filepath.Join(t.TempDir(), "agent.log")}
	if got, err := log.since(time.Time{}); err != nil || got != nil {
		t.Fatalf("before the agent's first word: %v, %v", got, err)
	}
	file, err := os.Create(log.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(text string) {
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	first := Transition{Time: time.Unix(1700000000, 500000000).UTC(), Node: "node-a", From: "Init", To: "Backup", Reason: "all checks pass", Term: 1}
	second := Transition{Time: time.Unix(1700000001, 250000000).UTC(), Node: "node-a", From: "Backup", To: "Master", Reason: "claimed", Term: 2}

	write(`{"level":"info","ts":"2023-11-14T22:13:20.5Z","msg":"state transition","node":"node-a","from":"Init","to":"Backup","reason":"all checks pass","term":1}
{"level":"info","ts":"2023-11-14T22:13:20.6Z","msg":"a state transition is near"}
panic: no JSON in a state transition
{"level":"info","ts":1700000001.25,"msg":"state transition","node":"node-a","from":"Backup",`)
	expect(t, &log, time.Time{}, first)
	write(`"to":"Master","reason":"claimed","term":2}` + "\n")
	expect(t, &log, time.Time{}, first, second)
	expect(t, &log, second.Time, second)
	expect(t, &log, second.Time.Add(1))
}

func expect(t *testing.T, log *agentLog, from time.Time, want ...Transition) {
	t.Helper()
	got, err := log.since(from)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Time = got[i].Time.UTC()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
