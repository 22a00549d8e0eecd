package adminapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Grade sums up how things are.
type Grade string

// The grades, from best to worst.
const (
	// Good: one node holds all addresses, and any one node may be lost.
	Good Grade = "good"
	// Degraded: clients are served as far as this node knows, but something needs a person.
	Degraded Grade = "degraded"
	// Critical: no node holds, or nobody can decide who does.
	Critical Grade = "critical"
)

// Verdict answers an operator's three questions in words: who holds and since when, is it safe to lose a node, what is wrong.
type Verdict struct {
	Grade Grade `json:"grade"`
	// Holds says who holds the addresses, and since when.
	Holds string `json:"holds"`
	// Safe: any one node may be lost now, and the addresses end on another. Lose says why, or why not.
	Safe bool   `json:"safe_to_lose_a_node"`
	Lose string `json:"lose"`
	// Wrong lists what is to be looked at, worst first.
	Wrong []Finding `json:"wrong"`
}

// Finding is one thing to look at, with the remedy. Of the grade Good it is a note.
type Finding struct {
	Grade Grade  `json:"grade"`
	Text  string `json:"text"`
}

// certificateSoon is from when on the end of a certificate is a warning, in days.
const certificateSoon = 30

// Judge makes a verdict of what a node knows. It looks at nothing else.
func Judge(s Status) Verdict {
	v := Verdict{Grade: Good, Holds: holds(s)}
	v.Safe, v.Lose = safeToLose(s)
	v.Wrong = slices.Concat(wrongWithHolding(s), wrongWithNodes(s), wrongHere(s), wrongOnTheWire(s))
	slices.SortStableFunc(v.Wrong, func(a, b Finding) int { return cmp.Compare(b.Grade.badness(), a.Grade.badness()) })
	if !v.Safe {
		v.Grade = Degraded
	}
	if len(v.Wrong) > 0 && v.Wrong[0].Grade.badness() > v.Grade.badness() {
		v.Grade = v.Wrong[0].Grade
	}
	return v
}

func (g Grade) badness() int { return slices.Index([]Grade{Good, Degraded, Critical}, g) }

func holds(s Status) string {
	what, holders := theAddress(s), holdersOf(s)
	confirmed := len(s.Addresses) - len(slices.DeleteFunc(slices.Clone(s.Addresses), func(a Address) bool { return a.Confirmed }))
	switch {
	case len(holders) == 0:
		return "No node holds " + what
	case s.Leader == "":
		return strings.Join(holders, " and ") + " held " + what + " when a leader was last known, and it stays there"
	case s.Held():
		since := ""
		if held := heldSince(s); !held.IsZero() {
			since = " since " + held.Format("2006-01-02 15:04:05") + " UTC"
		}
		return s.Holder + " holds " + what + since
	case confirmed > 0:
		return fmt.Sprintf("%s: %d of %d Elastic IPs are held, the others are on their way", strings.Join(holders, " and "), confirmed, len(s.Addresses))
	default:
		return strings.Join(holders, " and ") + " held " + what + "; a new claim is on its way"
	}
}

// heldSince is when the last address came to the holder.
func heldSince(s Status) time.Time {
	var since time.Time
	for _, a := range s.Addresses {
		if a.Since != nil && a.Since.After(since) {
			since = *a.Since
		}
	}
	return since
}

func holdersOf(s Status) []string {
	var names []string
	for _, a := range s.Addresses {
		if a.Holder != "" {
			names = append(names, a.Holder)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func theAddress(s Status) string {
	switch {
	case len(s.Addresses) > 1:
		return fmt.Sprintf("all %d Elastic IPs", len(s.Addresses))
	case len(s.Addresses) == 1:
		return cmp.Or(s.Addresses[0].PublicIP, s.Addresses[0].AllocationID)
	default:
		return "the Elastic IP"
	}
}

// safeToLose does the arithmetic of the quorum and of the candidates.
func safeToLose(s Status) (bool, string) {
	voters := len(s.Voters)
	quorum := voters/2 + 1
	up := len(answering(s, s.Voters))
	switch {
	case s.Leader == "":
		return false, "No: no leader is known, so nothing can move. The address stays where it is"
	case s.Answering == nil:
		return false, fmt.Sprintf("Not known here: the leader %s has not said which nodes answer it. Ask on that node", s.Leader)
	case !s.Held():
		return false, "No: the address is on its way. Wait until it is held"
	case voters == 1:
		return false, "No: " + s.Voters[0] + " is the only voter: without it nothing can move"
	case up <= quorum:
		return false, fmt.Sprintf("No: %s, and %d are a quorum: with one less nothing can move", votersAnswer(up, voters), quorum)
	}
	spare := standbys(s)
	if len(spare) == 0 {
		return false, fmt.Sprintf("No: if %s goes, no other node can hold", s.Holder)
	}
	return true, fmt.Sprintf("Yes, any one: %s, %d are a quorum, and %s can take over", votersAnswer(up, voters), quorum, strings.Join(spare, " or "))
}

func votersAnswer(up, voters int) string {
	if up == voters {
		return fmt.Sprintf("all %d voters answer", voters)
	}
	return fmt.Sprintf("%d of %d voters answer", up, voters)
}

func answering(s Status, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(s.Answering, n) })
}

// standbys are the nodes that could hold in the holder's place, the best first.
func standbys(s Status) []string {
	fit := slices.DeleteFunc(slices.Clone(s.Nodes), func(n Node) bool {
		return n.Name == s.Holder || !n.Healthy || !n.EC2 || n.Drained || n.Witness ||
			!slices.Contains(s.Answering, n.Name) || !slices.Contains(s.Voters, n.Name) // a node without a vote cannot lead
	})
	slices.SortStableFunc(fit, func(a, b Node) int { return cmp.Compare(b.Priority, a.Priority) })
	var names []string
	for _, n := range fit {
		names = append(names, n.Name)
	}
	return names
}

func wrongWithHolding(s Status) []Finding {
	if s.Leader == "" {
		return []Finding{{Critical, "No leader is known (" + s.Phase + "): start the agents that are down, or look at the network between the nodes"}}
	}
	var found []Finding
	for _, a := range s.Addresses {
		name := cmp.Or(a.PublicIP, a.AllocationID)
		switch {
		case a.Holder == "":
			found = append(found, Finding{Critical, name + " is held by no node yet" + claimWord(a)})
		case !a.Confirmed:
			found = append(found, Finding{Critical, fmt.Sprintf("%s was last held by %s; a new claim is on its way, or nobody may claim%s", name, a.Holder, claimWord(a))})
		case a.Guarded:
			found = append(found, Finding{Good, name + " is under guard: a call of the past may still land, and is repaired if it does"})
		}
	}
	if len(holdersOf(s)) > 1 {
		found = append(found, Finding{Degraded, "The addresses are with several nodes: " + strings.Join(holdersOf(s), ", ")})
	}
	return found
}

func claimWord(a Address) string {
	if a.Claim == "" {
		return ""
	}
	return "; this leader is " + a.Claim
}

func wrongWithNodes(s Status) []Finding {
	var found []Finding
	add := func(is bool, g Grade, text string) {
		if is {
			found = append(found, Finding{g, text})
		}
	}
	for _, n := range s.Nodes {
		silent := s.Silent(n)
		add(silent, Degraded, n.Name+" does not answer the leader: start its agent, or look at the network to it")
		add(!silent && !n.Witness && !n.Healthy, Degraded, fmt.Sprintf("HAProxy on %s is not healthy: %s", n.Name, cmp.Or(n.Reason, "no check has passed yet")))
		add(!silent && !n.Witness && n.Healthy && !n.EC2, Degraded, n.Name+" does not reach EC2, so it cannot take over: look at its route and its credentials")
		add(n.Drained, Good, fmt.Sprintf("%s is drained: 'hacluster undrain %s' makes it a candidate again", n.Name, n.Name))
	}
	for _, name := range s.Voters {
		known := slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.Name == name })
		add(!known && s.Silent(Node{Name: name}), Degraded, name+" has never been heard of: start its agent")
	}
	return found
}

func wrongHere(s Status) []Finding {
	var found []Finding
	if s.StoreError != "" {
		found = append(found, Finding{Degraded, "The disk of this node refuses writes, and it falls behind: make room or mend it: " + s.StoreError})
	}
	if c := s.Certificate; c != nil && c.DaysLeft < 0 {
		found = append(found, Finding{Critical, fmt.Sprintf("The certificate of %s has expired, and the other nodes refuse this one: make a new one with 'hacluster tls'", c.Name)})
	} else if c != nil && c.DaysLeft <= certificateSoon {
		found = append(found, Finding{Degraded, fmt.Sprintf("The certificate of %s expires in %d days: make a new one with 'hacluster tls'", c.Name, c.DaysLeft)})
	}
	return found
}

func wrongOnTheWire(s Status) []Finding {
	if s.VRRP == nil {
		return nil
	}
	var found []Finding
	for _, n := range s.VRRP.Notices {
		found = append(found, Finding{Degraded, fmt.Sprintf("%s (%d packets, the last %v ago)", n.Text, n.Packets, Age(n.AgeMS))})
	}
	return found
}

// Age rounds milliseconds to what a reader wants to know.
func Age(ms int64) time.Duration {
	d := time.Duration(ms) * time.Millisecond
	if d < time.Second {
		return d
	}
	return d.Round(time.Second)
}
