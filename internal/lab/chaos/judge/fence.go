package judge

import (
	"cmp"
	"slices"
	"time"
)

// association is the present one, as the log of EC2 tells it.
type association struct {
	id   string
	term uint64 // of the call that made it; 0: a person
}

// judgeFence is I2: it follows the associations through the log and looks at each call that displaced one.
func (j *judgement) judgeFence() {
	landed := j.landed()
	var now association
	for i, c := range landed {
		d, ours := j.deeds[c.Seq]
		if ours && c.Action == actionAssociate && c.reassociates() && j.history.complete && !j.history.handedOver(c.Node, d.term) {
			j.violated("I2", c.Node, c.At(), "an unfenced AssociateAddress in term %d, which has no claim by handover", d.term)
		}
		if ours && now.id != "" {
			j.judgeDisplacement(d, now, landed[i+1:])
		}
		now = association{}
		if c.Action == actionAssociate {
			now = association{id: c.AssociationID, term: d.term}
		}
	}
}

// landed returns the calls that changed an association, a person's too, in the order of their effects.
func (e Evidence) landed() []Call {
	var calls []Call
	for _, c := range e.Calls {
		if c.Landed() != 0 {
			calls = append(calls, c)
		}
	}
	slices.SortFunc(calls, func(a, b Call) int { return cmp.Compare(a.Landed(), b.Landed()) })
	return calls
}

func (c Call) reassociates() bool { return c.AllowReassociation == nil || *c.AllowReassociation }

// judgeDisplacement: a call of an older term ends an association of a newer one only as balanced allows it, and then somebody
// must have put it right.
func (j *judgement) judgeDisplacement(d deed, was association, later []Call) {
	c := d.call
	adopted := j.history.adopted(was.id, time.Unix(0, c.Effect))
	newest := max(was.term, adopted)
	if d.term >= newest {
		return
	}
	contested := c.Action == actionDisassociate && was.term <= d.term // adopted in spite of a call that was out
	handover := c.Action == actionAssociate && c.reassociates()
	if j.Run.Fencing != fencingBalanced || !contested && !handover {
		j.violated("I2", c.Node, c.Landed(), "%s of term %d displaced %s, made in term %d and adopted in term %d",
			c.Action, d.term, was.id, was.term, adopted)
		return
	}
	repaired := slices.IndexFunc(later, func(l Call) bool { return l.Action == actionAssociate })
	if repaired < 0 {
		j.violated("I2", c.Node, c.Landed(), "%s of term %d displaced %s of term %d, and nobody repaired it", c.Action, d.term, was.id, newest)
		return
	}
	j.verdict.Residuals = append(j.verdict.Residuals, Residual{
		At: c.Landed() - j.Run.Began.Boot, Repaired: later[repaired].Landed() - c.Landed(),
		Text: c.Node + " " + c.Action + " landed late and displaced " + was.id,
	})
}
