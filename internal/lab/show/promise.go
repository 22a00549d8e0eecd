package show

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/hacluster/hacluster/internal/lab"
)

// Promise is something that hacluster promises for a fault, beside what was measured.
type Promise struct {
	Text     string `json:"promise"`
	Measured string `json:"measured"`
	Kept     bool   `json:"kept"`
}

// Scene is one repetition of the demo, with all that is known about it.
type Scene struct {
	Fault      lab.Fault
	Repetition lab.Repetition
	Evidence   lab.Evidence
	Promises   []Promise
}

// Kept reports whether every promise was kept.
func (s Scene) Kept() bool {
	for _, p := range s.Promises {
		if !p.Kept {
			return false
		}
	}
	return true
}

// Promises returns what is promised for the fault of a repetition, and whether this repetition kept it. One run is not a
// median: the limits on time leave room for a busy machine, and are still shorter than Raft's timers where those play no part.
func Promises(r lab.Repetition) []Promise {
	served := Promise{"clients are served again", "yes", r.Problem == ""}
	if !served.Kept {
		served.Measured = r.Problem
	}
	moved := Promise{"the address moves once, to a healthy node", fmt.Sprintf("%s, to %s", count(r.Moves, "move"), r.HolderAfter),
		r.Moves == 1 && r.HolderAfter != r.HolderBefore}
	atMostOnce := Promise{"the address moves at most once", count(r.Moves, "move"), r.Moves <= 1}
	oneVoice := Promise{"never two Masters on the wire", fmt.Sprintf("%s in %s", count(r.OverlappingReigns, "overlapping reign"), count(r.Adverts, "advert")),
		r.OverlappingReigns == 0 && r.Adverts > 0}
	switch r.Fault {
	case "haproxy-kill":
		return []Promise{served, moved, gap(r, 500), oneVoice}
	case "node-death":
		return []Promise{served, moved, gap(r, 5000), oneVoice}
	case "partition":
		return []Promise{served, atMostOnce, gap(r, 500), withLeader(r), oneVoice}
	case "handover":
		return []Promise{served, moved, noneRefused(r), oneVoice}
	default:
		return []Promise{served, atMostOnce, oneVoice}
	}
}

func gap(r lab.Repetition, limit float64) Promise {
	return Promise{fmt.Sprintf("clients wait no longer than %s", duration(limit)), duration(r.LongestGap), r.LongestGap <= limit}
}

func withLeader(r lab.Repetition) Promise {
	return Promise{"afterwards the address is with the leader", fmt.Sprintf("address %s, leader %s", r.HolderAfter, r.LeaderAfter),
		r.HolderAfter == r.LeaderAfter}
}

// noneRefused forgives a request that was in the middle of its connection when the address moved: that cut is what
// moving an address means, on AWS as here, and no cluster can avoid it. At most three requests can be in that position,
// see lab.Clients.
func noneRefused(r lab.Repetition) Promise {
	measured := fmt.Sprintf("%d of %d failed", r.Failed-r.CutInFlight, r.Requests)
	if r.CutInFlight > 0 {
		measured += fmt.Sprintf(", %d cut in mid-connection", r.CutInFlight)
	}
	return Promise{"no request is refused", measured, r.Failed == r.CutInFlight}
}

// WritePromises writes promise beside measurement for each scene.
func WritePromises(w io.Writer, scenes []Scene) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "FAULT\tPROMISE\tMEASURED\tVERDICT")
	for _, s := range scenes {
		name := s.Fault.Title
		for _, p := range s.Promises {
			verdict := "kept"
			if !p.Kept {
				verdict = "BROKEN"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, p.Text, p.Measured, verdict)
			name = ""
		}
	}
	return table.Flush()
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// duration writes milliseconds with the unit that people use.
func duration(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%s s", Number(ms/1000))
	}
	return Number(ms) + " ms"
}
