package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// The plots, below the directory of the page.
const (
	takeoverPlot = "img/fleet-takeover.svg"
	readsPlot    = "img/fleet-reads.svg"
)

// WriteDocs writes SCALE.md and its plots into the directory docs.
func (s Study) WriteDocs(docs string) error {
	if err := os.MkdirAll(filepath.Join(docs, "img"), 0o755); err != nil {
		return fmt.Errorf("make directory for the plots: %w", err)
	}
	page, err := s.page()
	if err != nil {
		return err
	}
	files := map[string]string{"SCALE.md": page, takeoverPlot: s.takeoverChart().svg(), readsPlot: s.readsChart().svg()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the study: %w", err)
		}
	}
	return nil
}

func (s Study) page() (string, error) {
	t, err := template.New("scale").Funcs(template.FuncMap{"number": number, "short": short}).Parse(scalePage)
	if err != nil {
		return "", fmt.Errorf("parse the page: %w", err)
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{
		"Scenario": s.Scenario, "Percent": 100 * s.Scenario.Share, "ReadLimit": s.ReadLimit, "ReadsAllow": s.Scenario.readsAllow(),
		"AtOnce":    int(float64(s.Scenario.Limits.Associate.Size) / s.Scenario.Share),
		"Takeovers": s.TakeoverTable(), "Backoffs": s.BackoffTable(), "Reads": s.ReadTable(), "Remedies": s.RemedyTable(),
		"BackoffClusters": s.Backoffs[0].Scenario.Clusters, "RemedyClusters": s.Remedies[0].Result.Scenario.Clusters,
	})
	if err != nil {
		return "", fmt.Errorf("fill the page: %w", err)
	}
	return b.String(), nil
}

// TakeoverTable is what the failure of a zone costs, by size and fencing.
func (s Study) TakeoverTable() string {
	rows := [][]string{{"clusters", "EIPs to move", "fencing", "half moved", "99 %", "last", "EC2's bucket alone", "calls per EIP", "of them refused", "leader changes per EIP"}}
	for _, fencing := range Fencings() {
		for _, r := range s.Takeovers[fencing] {
			rows = append(rows, slices.Concat(
				[]string{number(r.Scenario.Clusters), number(len(r.Moved)), string(fencing)}, r.times(),
				[]string{short(r.Scenario.Floor())}, r.effort(),
				[]string{fmt.Sprintf("%.1f", r.PerMove(r.Failure.Transfers))}))
		}
	}
	return table(rows)
}

// BackoffTable compares the back-offs.
func (s Study) BackoffTable() string {
	rows := [][]string{{"back-off", "half moved", "99 %", "last", "calls per EIP", "of them refused", "reads refused per EIP"}}
	for _, r := range s.Backoffs {
		rows = append(rows, slices.Concat([]string{r.Scenario.Retry.words()}, r.times(), r.effort(),
			[]string{fmt.Sprintf("%.1f", r.PerMove(r.Failure.Reads.Throttled))}))
	}
	return table(rows)
}

// ReadTable is what the reads of the steady state cost, by size.
func (s Study) ReadTable() string {
	rows := [][]string{{"clusters", "reads wanted /s", "reads made /s", "served /s", "refused", "log entries per cluster and hour"}}
	for _, r := range s.Takeovers[Fencings()[0]] {
		p, seconds := r.Steady, r.Steady.Length.Seconds()
		rows = append(rows, []string{number(r.Scenario.Clusters), fmt.Sprintf("%.1f", r.Scenario.readsWanted()),
			fmt.Sprintf("%.1f", float64(p.Reads.Calls())/seconds), fmt.Sprintf("%.1f", float64(p.Reads.Served)/seconds),
			percent(p.Reads.Throttled, p.Reads.Calls()),
			fmt.Sprintf("%.1f", float64(p.Entries)/float64(r.Scenario.Clusters)/p.Length.Hours())})
	}
	return table(rows)
}

// RemedyTable is what an operator can do beyond the limits.
func (s Study) RemedyTable() string {
	rows := [][]string{{"", "clusters per account", "reads refused while nothing happens", "half moved", "99 %", "last"}}
	for _, remedy := range s.Remedies {
		r := remedy.Result
		rows = append(rows, slices.Concat([]string{remedy.Name, number(r.Scenario.Clusters),
			percent(r.Steady.Reads.Throttled, r.Steady.Reads.Calls())}, r.times()))
	}
	return table(rows)
}

func (r Result) times() []string {
	return []string{short(r.Quantile(0.5)), short(r.Quantile(0.99)), short(r.Last())}
}

func (r Result) effort() []string {
	m := r.Failure.Mutating
	return []string{fmt.Sprintf("%.1f", r.PerMove(m.Calls())), fmt.Sprintf("%.1f", r.PerMove(m.Throttled))}
}

// words say what the variant does.
func (r Retry) words() string {
	switch r {
	case Exponential:
		return "exponential, no jitter"
	case Fixed:
		return "50 ms each time"
	default:
		return "exponential, full jitter (the product)"
	}
}

// table sets rows, the first of them the heads, as Markdown.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}

func percent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

// number prints 5000 as 5,000.
func number(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", number(n/1000), n%1000)
}

// short prints a duration for people: 1.2 s, 24 s, 5 min 27 s.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	d = d.Round(time.Second)
	minutes, seconds := int(d/time.Minute), int(d%time.Minute/time.Second)
	if seconds == 0 {
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d min %d s", minutes, seconds)
}

const scalePage = `# Many clusters in one account

EC2 counts API requests per account and region, so clusters that share an account share its buckets. ` + "`make fleet`" + ` simulates what that
means: {{.Scenario.Candidates}} candidates per cluster in as many Availability Zones, one zone fails, and {{printf "%.0f" .Percent}} % of the clusters have their holder in it.

- **Up to about {{.ReadLimit}} clusters** in an account and region, EC2 refuses no read while nothing happens (with ` + "`eip.observe_interval`" + ` at
  {{short .Scenario.ObserveInterval}} and nothing else in the account that calls DescribeAddresses). The arithmetic says {{.ReadsAllow}}:
  {{.Scenario.Limits.Describe.Refill}} reads a second, {{.Scenario.Candidates}} candidates.
- **Up to about {{.AtOnce}} clusters**, every address moves at once when a zone fails: the bucket holds {{.Scenario.Limits.Associate.Size}} calls. Beyond, EC2 lets
  {{.Scenario.Limits.Associate.Refill}} addresses a second move, whoever asks for them.

## A zone fails

From the failure to the address being at a node that lives, elections included.

{{.Takeovers}}
![Time until the Elastic IPs are back, by number of clusters](img/fleet-takeover.svg)

"EC2's bucket alone" is what the last address waits for tokens of AssociateAddress, however clever the caller.
In a takeover ` + "`strict`" + ` makes the calls of ` + "`balanced`" + `.

## While nothing happens

Each candidate reads the address once in {{short .Scenario.ObserveInterval}}: to notice moves by others, and to know that it reaches EC2 at all.

{{.Reads}}
![Reads per second while nothing happens, by number of clusters](img/fleet-reads.svg)

## What the back-off does

{{number .BackoffClusters}} clusters, the same failure. The pause is 50 ms doubled with each refusal, 5 s at most; the product draws it between zero and that.

{{.Backoffs}}
No token is lost in a pause of 5 s: fewer come back in it than the bucket holds. Pauses that do not grow cost calls.

## What to do beyond

{{number .RemedyClusters}} clusters:

{{.Remedies}}
- **Ask AWS for more.** Limits are raised per action: name AssociateAddress, DisassociateAddress and DescribeAddresses. AWS recommends to ask for at
  most three times the present limit at once, and for refill rates before bucket sizes.
- **Read less often.** ` + "`eip.observe_interval`" + ` on all nodes, up to an hour. A move by somebody else is noticed that much later.
- **Use several accounts** (or regions). Buckets are per account and region.
- **Spread the holders** over the zones, so that no zone has more than its share.

## What is real here and what is not

Real: each node's decisions (` + "`internal/controller`" + `, with its back-off) and each cluster's replicated state (` + "`fsm`" + `).

Made up: Raft (commits in 1 ms, elects within 0.5 to 1.5 s of the failure), EC2's latency (100 to 400 ms, evenly), and EC2 itself, of which there are the
addresses and the documented buckets
([Request throttling for the Amazon EC2 API](https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)): each action has its own;
DescribeAddresses {{.Scenario.Limits.Describe.Size}}, refilled with {{.Scenario.Limits.Describe.Refill}} a second (a non-mutating action, and not one of those with a smaller bucket when called without a filter);
AssociateAddress and DisassociateAddress {{.Scenario.Limits.Associate.Size}} and {{.Scenario.Limits.Associate.Refill}} each (mutating actions without a row of their own).

Not documented, and assumed: a refused request costs no token; a second's tokens arrive together; EC2's control plane is as fast as ever while a zone fails. Left
out: everything else in the account that calls the same three actions, reads that lag behind, and the calls of other AWS customers.

Seed {{.Scenario.Seed}}; the same seed and build give the same page. ` + "`hacluster-lab fleet --help`" + ` for other sizes and shares.
`
