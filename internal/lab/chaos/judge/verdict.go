package judge

import (
	"fmt"
	"slices"
	"time"
)

// Verdict is what the evidence comes to.
type Verdict struct {
	Violations []Violation `json:"violations"`
	// Residuals are what docs/SAFETY.md says may happen, and happened.
	Residuals []Residual `json:"residuals,omitempty"`
	// Doubts say what could not be judged, and why.
	Doubts  []string `json:"doubts,omitempty"`
	Figures Figures  `json:"figures"`
}

// Violation is a broken promise.
type Violation struct {
	Invariant string        `json:"invariant"` // I1 to I8, or "crash"
	Node      string        `json:"node,omitempty"`
	At        time.Duration `json:"at_ns"` // since the beginning of the run
	Text      string        `json:"text"`
}

// String tells the violation in a line.
func (v Violation) String() string {
	return fmt.Sprintf("%s at +%s %s: %s", v.Invariant, v.At.Round(time.Millisecond), v.Node, v.Text)
}

// Residual is a disturbance that docs/SAFETY.md allows, and how long it took until it was repaired, if there was anything to
// repair.
type Residual struct {
	At       time.Duration `json:"at_ns"` // since the beginning of the run
	Text     string        `json:"text"`
	Repaired time.Duration `json:"repaired_after_ns,omitempty"`
}

// String tells the residual in a line.
func (r Residual) String() string {
	text := fmt.Sprintf("at +%v: %s", r.At.Round(time.Millisecond), r.Text)
	if r.Repaired > 0 {
		text += fmt.Sprintf("; repaired after %v", r.Repaired.Round(time.Millisecond))
	}
	return text
}

// Judge returns the verdict.
func Judge(e Evidence) Verdict {
	j := &judgement{Evidence: e, deeds: make(map[int64]deed)}
	j.history = j.rebuild()
	j.attribute()
	j.judgeCalls()
	j.judgeTerms()
	j.judgeFence()
	j.judgeWire()
	j.judgeReloads()
	j.judgeSettles()
	j.judgeIdentities()
	j.judgeMemory()
	j.judgeCrashes()
	slices.SortStableFunc(j.verdict.Violations, func(a, b Violation) int { return int(a.At - b.At) })
	j.verdict.Figures = j.figures()
	return j.verdict
}

// judgement is a verdict in the making.
type judgement struct {
	Evidence
	history history
	deeds   map[int64]deed // by the number of the call
	verdict Verdict
	// remembered counts the faults of KindAllKilled after which nothing was missing.
	remembered int
}

func (j *judgement) violated(invariant, node string, at time.Duration, format string, args ...any) {
	j.verdict.Violations = append(j.verdict.Violations, Violation{
		Invariant: invariant, Node: node, At: at - j.Run.Began.Boot, Text: fmt.Sprintf(format, args...),
	})
}

func (j *judgement) doubt(format string, args ...any) {
	j.verdict.Doubts = append(j.verdict.Doubts, fmt.Sprintf(format, args...))
}

// end is later than anything in the evidence.
func (j *judgement) end() time.Duration { return j.Run.Ended.Boot + time.Hour }

// judgeCrashes: an agent may end, with a sentence that says why. It may not crash.
func (j *judgement) judgeCrashes() {
	for node, log := range j.Logs {
		for _, line := range log.Crashes {
			j.violated("crash", node, j.Run.Ended.Boot, "the agent crashed: %s", line)
		}
	}
}
