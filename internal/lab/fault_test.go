package lab

import (
	"strings"
	"testing"
)

func TestFindFaults(t *testing.T) {
	all, err := FindFaults("all")
	if err != nil || len(all) != len(Faults()) {
		t.Errorf("all: %d faults, %v", len(all), err)
	}
	some, err := FindFaults("stop, partition")
	if err != nil || len(some) != 2 || some[0].Name != "stop" || some[1].Name != "partition" {
		t.Errorf("a list: %v, %v", some, err)
	}
	_, err = FindFaults("stop,earthquake")
	if err == nil || !strings.Contains(err.Error(), `"earthquake"`) || !strings.Contains(err.Error(), "haproxy-reload") {
		t.Errorf("an unknown fault must be named, and the known ones listed: %v", err)
	}
}

// Every fault can be told as a story.
func TestFaultsHaveStories(t *testing.T) {
	for _, f := range Faults() {
		if f.Title == "" || f.Story == "" || f.inject == nil || f.observe == 0 {
			t.Errorf("%s is incomplete", f.Name)
		}
		if (f.release == nil) != (f.Release == "") || (f.release == nil) != (f.Hold == 0) {
			t.Errorf("%s: its release is incomplete", f.Name)
		}
	}
}
