package vrrpaudit

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

const (
	timeFormat = "2006-01-02 15:04:05.000000"
	// violationMark stands before each line that made the verdict.
	violationMark = "! "
	// warningMark stands before each line that is worth a look, and makes none.
	warningMark = "? "
	indent      = "  "
)

// WriteText writes the report for people: the verdict in the first line, then each virtual router. Times are UTC.
func (r Report) WriteText(w io.Writer) error {
	out := &printer{w: w}
	out.line("%s", r.headline())
	out.line("%s: %s", r.Capture.Name, r.Capture.describe())
	for _, note := range r.Capture.Notes {
		out.line("note: %s", note)
	}
	for _, router := range r.Routers {
		router.writeText(out)
	}
	return out.err
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (r Report) headline() string {
	switch {
	case r.Verdict == Incomplete && r.Violations > 0:
		return fmt.Sprintf("INCOMPLETE: %s; as far as it goes: %s", r.Error, r.violations())
	case r.Verdict == Incomplete && r.Capture.Packets > 0:
		return fmt.Sprintf("INCOMPLETE: %s; as far as it goes, no violation", r.Error)
	case r.Verdict == Incomplete:
		return "INCOMPLETE: " + r.Error
	case r.Verdict == Violations:
		return "VIOLATIONS: " + r.violations() + r.warnings()
	default:
		return "CLEAN: " + r.course() + r.warnings()
	}
}

// warnings says what makes no verdict, and should be seen all the same.
func (r Report) warnings() string {
	if r.Warnings == 0 {
		return ""
	}
	longest := Seconds(0)
	for _, router := range r.Routers {
		longest = max(longest, router.Longest)
	}
	return fmt.Sprintf("; WARNING: %s, nobody was Master for up to %v", plural(r.Warnings, "late hand-over", "late hand-overs"), longest)
}

// violations counts what made the verdict, the worst first.
func (r Report) violations() string {
	var parts []string
	torn := Seconds(0)
	for _, router := range r.Routers {
		torn += router.Torn
	}
	for _, kind := range []Kind{
		TwoMasters, Gap, UnknownSender, Malformed, BadChecksum, WrongTTL, Multicast,
		VersionMismatch, IntervalMismatch, AuthMismatch, PasswordMismatch, AddressMismatch, ChecksumMismatch,
	} {
		n := r.count(kind)
		if n == 0 {
			continue
		}
		part := kind.counted(n)
		if kind == TwoMasters {
			part += fmt.Sprintf(" (%v in all)", torn)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// course says in a line what happened where nothing is wrong.
func (r Report) course() string {
	adverts, senders := 0, 0
	for _, router := range r.Routers {
		senders += len(router.Senders)
		for _, s := range router.Senders {
			adverts += s.Adverts
		}
	}
	what := plural(len(r.Routers), "virtual router", "virtual routers")
	if len(r.Routers) == 1 {
		what = fmt.Sprintf("VRID %d", r.Routers[0].VRID)
	}
	return fmt.Sprintf("%s: %s of %s, %s, never more than one master", what,
		plural(adverts, "advert", "adverts"), plural(senders, "sender", "senders"), HandOver.counted(r.count(HandOver)))
}

func (r Report) count(kind Kind) int {
	n := 0
	for _, router := range r.Routers {
		n += router.Counts[kind]
	}
	return n
}

func (c Capture) describe() string {
	text := fmt.Sprintf("%s, %s, %d of VRRP", c.Format, plural(c.Frames, "frame", "frames"), c.Packets)
	if !c.First.IsZero() {
		text += fmt.Sprintf(", %s UTC, %v", c.First.Format(timeFormat), c.Duration)
	}
	return text
}

func (r Router) writeText(out *printer) {
	out.line("")
	out.line("%s: %s", r.name(), r.end())
	r.writeSenders(out)
	if len(r.Problems) > 0 {
		out.line("")
	}
	for _, p := range r.Problems {
		out.line("%s%s", mark(p.Violation), p.describe())
	}
	if len(r.Events) > 0 {
		out.line("")
	}
	listed := make(map[Kind]int)
	for _, e := range r.Events {
		sign := mark(e.Violation)
		if e.Warning {
			sign = warningMark
		}
		out.line("%s%s  +%-12v %s", sign, e.At.Format(timeFormat), e.Offset, e.describe())
		listed[e.Kind]++
	}
	for _, kind := range []Kind{TwoMasters, Gap, HandOver, Resigned, Changed} {
		if more := r.Counts[kind] - listed[kind]; more > 0 {
			out.line("%sand %d more: %s", mark(kind.Violation()), more, kind.counted(r.Counts[kind]))
		}
	}
}

func (r Router) name() string {
	if r.VRID == 0 {
		return "no usable VRID, " + r.Family
	}
	name := fmt.Sprintf("VRID %d, %s", r.VRID, r.Family)
	for _, vlan := range r.VLANs {
		name += fmt.Sprintf(", VLAN %d", vlan)
	}
	return name
}

func (r Router) end() string {
	switch len(r.Masters) {
	case 0:
		return "nobody is Master at the end"
	case 1:
		return fmt.Sprintf("%v is Master at the end", r.Masters[0])
	default:
		return joinAddresses(r.Masters) + " are Master at the end"
	}
}

func (r Router) writeSenders(out *printer) {
	tw := tabwriter.NewWriter(out.w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, indent+"SENDER\tPACKETS\tADVERTS\tPRIORITY\tVERSION\tINTERVAL\tMEASURED (MIN, MEDIAN, MAX)\tAUTH\tADDRESSES")
	for _, s := range r.Senders {
		fmt.Fprintf(tw, "%s%v\t%s\t%d\t%s\t%s\t%v\t%s\t%s\t%s\n", indent, s.Address, s.sightings(), s.Adverts, s.ranks(), s.version(),
			s.advertised(), s.Measured, orDash(s.Auth), s.addresses())
	}
	if err := tw.Flush(); out.err == nil {
		out.err = err
	}
}

func (s Sender) sightings() string {
	if s.Duplicates == 0 {
		return fmt.Sprint(s.Packets)
	}
	return fmt.Sprintf("%d, seen %d times", s.Packets, s.Packets+s.Duplicates)
}

func (s Sender) version() string {
	if s.Version == 0 {
		return "-"
	}
	return fmt.Sprint(s.Version)
}

func (s Sender) addresses() string {
	if s.Addresses != nil && len(s.Addresses) == 0 {
		return noAddresses
	}
	return orDash(strings.Join(s.Addresses, " "))
}

func (s Sender) advertised() string {
	if s.Advertised == 0 {
		return "-"
	}
	return s.Advertised.String()
}

// ranks lists a few priorities, or the range of many.
func (s Sender) ranks() string {
	const few = 4
	switch n := len(s.Priorities); {
	case n == 0:
		return "-"
	case n <= few:
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(s.Priorities), "[]"), " ", ", ")
	default:
		return fmt.Sprintf("%d to %d", s.Priorities[0], s.Priorities[n-1])
	}
}

// String shows the least, the median and the greatest interval.
func (m Measured) String() string {
	if m.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%v, %v, %v", m.Min, m.Median, m.Max)
}

func (p Problem) describe() string {
	text := string(p.Kind)
	if p.Sender.IsValid() {
		text += fmt.Sprintf(" of %v", p.Sender)
	}
	text += ": "
	if p.Reason != "" {
		text += p.Reason + ": "
	}
	text += p.Detail
	if p.First.IsZero() {
		return text
	}
	text += fmt.Sprintf(" (%s, at %s, +%v", plural(p.Count, "packet", "packets"), p.First.Format(timeFormat), p.Offset)
	if p.Count > 1 {
		text += ", until " + p.Last.Format(timeFormat)
	}
	return text + ")"
}

func (e Event) describe() string {
	switch e.Kind {
	case TwoMasters:
		return e.describeMasters()
	case Gap:
		text := fmt.Sprintf("nobody is Master for %v: %v is silent for longer than its Master_Down_Interval of %v", e.Duration, e.From, e.Down)
		return join(text, e.Detail)
	case HandOver:
		text := fmt.Sprintf("hand-over from %v to %v by %s, after %v", e.From, e.To, e.Cause, e.Duration)
		if e.From == e.To {
			text = fmt.Sprintf("%v is Master again, %v after %s", e.To, e.Duration, e.Cause)
		}
		if e.Warning {
			text += fmt.Sprintf(", which is late: the Master_Down_Interval is %v", e.Down)
		}
		if e.Crossed != 0 {
			text += fmt.Sprintf("; one more advert of %v crossed, %v later", e.From, e.Crossed)
		}
		return text
	case Resigned:
		if e.Adverts == 1 {
			return fmt.Sprintf("priority 0 of %v", e.From)
		}
		return fmt.Sprintf("priority 0 of %v, %s within %v", e.From, times(e.Adverts), Seconds(e.Until.Sub(e.At)))
	default:
		return fmt.Sprintf("%v changes: %s", e.From, e.Detail)
	}
}

func (e Event) describeMasters() string {
	who := make([]string, len(e.Masters))
	for i, m := range e.Masters {
		who[i] = fmt.Sprintf("%v (priority %d, %s)", m.Sender, m.Priority, plural(m.Adverts, "advert", "adverts"))
	}
	text := fmt.Sprintf("%d MASTERS for %v: %s", len(e.Masters), e.Duration, strings.Join(who, ", "))
	if e.To.IsValid() {
		text += fmt.Sprintf("; %v goes on alone", e.To)
	}
	return join(text, e.Detail)
}

func join(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ", " + detail
}

// counted says how many, in words.
func (k Kind) counted(n int) string {
	switch k {
	case TwoMasters:
		return "more than one master " + times(n)
	case Gap:
		return plural(n, "gap without a master", "gaps without a master")
	case HandOver:
		return plural(n, "hand-over", "hand-overs")
	case Resigned:
		return "priority 0 " + times(n)
	case Changed:
		return plural(n, "change of settings", "changes of settings")
	case Malformed:
		return plural(n, "malformed packet", "malformed packets")
	case BadChecksum:
		return plural(n, "bad checksum", "bad checksums")
	case Multicast:
		return plural(n, "multicast packet", "multicast packets")
	case WrongTTL:
		return plural(n, "packet of a wrong TTL", "packets of a wrong TTL")
	case UnknownSender:
		return plural(n, "packet of unknown senders", "packets of unknown senders")
	default:
		return strings.ReplaceAll(string(k), "_", " ")
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	default:
		return fmt.Sprintf("%d times", n)
	}
}

func mark(violation bool) string {
	if violation {
		return violationMark
	}
	return indent
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
