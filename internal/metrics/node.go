package metrics

import (
	"runtime"
	"time"

	"github.com/hacluster/hacluster/fsm"
	"github.com/hacluster/hacluster/internal/controller"
)

// states are the values of the label state.
func states() []controller.State {
	return []controller.State{controller.Init, controller.Backup, controller.Master, controller.Fault}
}

func nodeFamilies() []family {
	return []family{
		{nameBuildInfo, gauge, []string{labelVersion, labelGoVersion}, "1; its labels say what runs.",
			func(s *snapshot, put put) { put(1, s.id.Version, runtime.Version()) }},
		{nameTime, gauge, nil, "The clock of this machine, in seconds since 1970, to be compared with Prometheus' own.",
			func(s *snapshot, put put) { put(unix(s.now)) }},
		{nameState, gauge, []string{labelState}, "1 for the state that the node is in: Init, Backup, Master or Fault.",
			func(s *snapshot, put put) {
				for _, state := range states() {
					put(truth(s.view.State == state), string(state))
				}
			}},
		{nameEntered, counter, []string{labelState}, "How often a state was entered.", nil},
		{nameChanges, counter, []string{labelFrom, labelTo, labelReason},
			"Changes of state by the word for their reason; the log's 'state transition' has the sentence.", nil},
		{nameLevel, gauge, nil, "The level of commands that the cluster uses, as this node has applied it (docs/UPGRADE.md).",
			one(func(s *snapshot) int { return int(s.view.Committed.Level) })},
		{nameKnown, gauge, nil, "The highest level that this node's build knows. The cluster uses the lowest of all nodes.",
			one(func(*snapshot) int { return int(fsm.Newest) })},
		{nameReady, gauge, nil, "1 if the node knows a leader and its HAProxy is healthy, as /readyz says.", whether((*snapshot).ready)},
	}
}

func healthFamilies() []family {
	return []family{
		{nameHealthy, gauge, nil, "1 if every health check of this node passes. Absent on a witness.", func(s *snapshot, put put) {
			if s.health != nil {
				put(truth(s.health.Healthy))
			}
		}},
		{nameCheck, gauge, []string{labelCheck}, "1 if the check passes, after rise and fall: process, stats, http, tcp or script.",
			func(s *snapshot, put put) {
				if s.health == nil {
					return
				}
				for _, c := range s.health.Checks {
					put(truth(c.Healthy), c.Name)
				}
			}},
	}
}

func hookFamilies() []family {
	return []family{
		{nameHookRuns, counter, nil, "Hooks that were started.", one(func(s *snapshot) uint64 { return s.hooks.Runs })},
		{nameHookFailures, counter, nil, "Hooks that could not be started, or ended with another exit status than 0.",
			one(func(s *snapshot) uint64 { return s.hooks.Failures })},
		{nameHookTimeouts, counter, nil, "Hooks that were ended because their time was over; they are failures too.",
			one(func(s *snapshot) uint64 { return s.hooks.Timeouts })},
		{nameHookRefused, counter, nil, "Hooks that were not started because somebody else could change them, or because they are missing.",
			one(func(s *snapshot) uint64 { return s.hooks.Refused })},
		{nameHookSuperseded, counter, nil, "Changes of state whose hooks never ran because a newer change came first.",
			one(func(s *snapshot) uint64 { return s.hooks.Superseded })},
	}
}

// unix returns a time as Prometheus counts it.
func unix(t time.Time) float64 { return float64(t.UnixNano()) / float64(time.Second) }
