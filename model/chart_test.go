package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What `./pan -r claim.pml.trail -S` prints, shortened: Spin's own lines and statements stand between the model's.
const replay = `MSC: ~G line 1
          @AL t1 elected
          @AE t1 AssociateAddress(AllowReassociation=1)
          @E  x1 made, at A
		printf('@E  x%d made, at %c',made,(65+who))
                    @CA t2 asks for a release: given
          @LC   ... the answer is lost
          @A  crashes
          @ E  a person ends x1
          @AL t3 Claim(takeover, displaces x0): granted in t3
          @!! I2: a call displaced what belongs to a later term
          @AL t9 comes after the end
`

const drawnReplay = `    A     B     C     log   EC2
  1 o----------------->     |      A t1 elected
  2 o----------------------->      A t1 AssociateAddress(AllowReassociation=true)
  3 |     |     |     |     *      x1 made, at A
  4 <-----------o     |     |      C t2 asks for a release: given
  5 |     |     <-----o     |      ... the answer is lost
  6 *     |     |     |     |      A crashes
  7 |     |     |     |     *      a person ends x1
  8 o----------------->     |      A t3 Claim(takeover, displaces nothing): granted in t3

BROKEN  I2: a call displaced what belongs to a later term
`

func TestChart(t *testing.T) {
	if d := cmp.Diff(drawnReplay, parseChart(replay).String()); d != "" {
		t.Errorf("the chart differs (-want +got):\n%s", d)
	}
}

func TestChartWithoutC(t *testing.T) {
	for _, l := range parseChart("@AL t1 elected\n").lanes() {
		if l.key == 'C' {
			t.Error("a lane for C, who did nothing")
		}
	}
}
