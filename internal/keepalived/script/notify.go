package script

import (
	"regexp"
	"slices"
	"strings"
)

// Value is something that a script says, and where.
type Value struct {
	Text string
	Line int
}

// Target is what the calls of a script name.
type Target struct {
	Allocations, PublicIPs, Instances, Interfaces, PrivateIPs []Value
	Regions, Endpoints, Profiles                              []Value
}

// Notify is what a notify script does, as far as reading it tells.
type Notify struct {
	Target
	Searched      bool    // not a shell script: it was only searched for names, so that Others is not known
	Associates    []int   // lines that call AssociateAddress
	Disassociates []int   // lines that call DisassociateAddress
	OtherCalls    []Value // other EC2 calls that change something
	Mentioned     []Value // every allocation id outside comments
	MetadataV1    []int   // lines that ask the instance metadata without a session token (IMDSv1)
	Keys          []int   // lines with a literal access key
	Others        []Value // programs that have nothing to do with the address
}

// MovesAddress reports whether the script calls EC2 to move an Elastic IP.
func (n Notify) MovesAddress() bool { return len(n.Associates) > 0 || len(n.Disassociates) > 0 }

// OnlyMovesAddress reports whether that is all it does, apart from reading and logging.
func (n Notify) OnlyMovesAddress() bool {
	return n.MovesAddress() && !n.Searched && len(n.Others) == 0 && len(n.OtherCalls) == 0
}

// DisassociatesFirst reports whether the address is without a holder between two calls of the script.
func (n Notify) DisassociatesFirst() bool {
	return len(n.Disassociates) > 0 && len(n.Associates) > 0 && slices.Min(n.Disassociates) < slices.Max(n.Associates)
}

const (
	allocationPattern = `\beipalloc-[0-9a-f]{8,17}\b`
	keyPattern        = `\b(AKIA|ASIA)[A-Z0-9]{16}\b|(?i)\b(aws_)?secret(_access)?_key\b["']?\s*[=:]\s*["']?[A-Za-z0-9/+=]{16,}`
	metadataAddress   = "169.254.169.254"
)

// harmless programs read, log or steer; a hook is not needed for what they do, unless it is a sideEffect.
const harmless = `^(echo|printf|logger|sleep|exit|return|set|true|false|:|export|date|test|\[|\[\[|local|readonly|declare|typeset|shift|` +
	`grep|egrep|awk|sed|cut|tr|cat|head|tail|wc|tee|hostname|ec2-?metadata|basename|dirname|break|continue|wait|read|jq|umask|ulimit|unset|` +
	`uname|id|whoami|sort|uniq|seq|ls|dig|getent|pidof|pgrep)$`

// asking programs are harmless where a script takes in what they print.
const asking = `^(ip|ifconfig|nslookup)$`

// passing matches files that are written only to be looked at by people, or by nobody.
const passing = `^/dev/(null|stdout|stderr|tty|console)$|^/var/log/|^/tmp/|\.log$`

// ReadNotify reads a notify script.
func ReadNotify(text string) Notify {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = text[:min(len(text), maxText)]
	var n Notify
	n.search(text)
	if isShell(text) {
		n.readShell(text)
		return n
	}
	n.Searched = true
	n.searchCalls(text)
	return n
}

// isShell: a script without a first line that says otherwise is run by a shell.
func isShell(text string) bool {
	first, _, _ := strings.Cut(text, "\n")
	if strings.HasPrefix(first, "#!") {
		return regexp.MustCompile(`\b(ba|da|k|z|a)?sh\b`).MatchString(first)
	}
	return !strings.Contains(text, "import boto")
}

// rows calls visit with each line that is no comment.
func rows(text string, visit func(line int, row string)) {
	line := 0
	for row := range strings.SplitSeq(text, "\n") {
		line++
		if trimmed := strings.TrimLeft(row, " \t"); !strings.HasPrefix(trimmed, "#") {
			visit(line, row)
		}
	}
}

// search finds what can be found in any language. A key in a comment is still a key.
func (n *Notify) search(text string) {
	key, allocation := regexp.MustCompile(keyPattern), regexp.MustCompile(allocationPattern)
	for i, row := range strings.Split(text, "\n") {
		if key.MatchString(row) {
			n.Keys = append(n.Keys, i+1)
		}
	}
	rows(text, func(line int, row string) {
		for _, id := range allocation.FindAllString(row, -1) {
			add(&n.Mentioned, id, line)
		}
	})
}

// searchCalls looks for what boto and the like call the same things.
func (n *Notify) searchCalls(text string) {
	find := func(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }
	associate, disassociate := find(`\bassociate[_-]address\b|\bAssociateAddress\b`), find(`\bdisassociate[_-]address\b|\bDisassociateAddress\b`)
	publicIP := find(`(?i)public_?ips?\b["']?\s*[=:]+\s*\[?\s*["']([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)["']`)
	region := find(`(?i)region(?:_name)?["']?\s*[=:]\s*["']([a-z]{2}(?:-[a-z]+)+-[0-9])["']`)
	rows(text, func(line int, row string) {
		if associate.MatchString(row) {
			n.Associates = append(n.Associates, line)
		}
		if disassociate.MatchString(row) {
			n.Disassociates = append(n.Disassociates, line)
		}
		for _, m := range publicIP.FindAllStringSubmatch(row, -1) {
			add(&n.PublicIPs, m[1], line)
		}
		for _, m := range region.FindAllStringSubmatch(row, -1) {
			add(&n.Regions, m[1], line)
		}
		if strings.Contains(row, metadataAddress) && !strings.Contains(text, "metadata-token") {
			n.MetadataV1 = append(n.MetadataV1, line)
		}
	})
}

func (n *Notify) readShell(text string) {
	l := parse(text)
	for _, a := range l.assigned {
		if !a.value.Unknown && isRegion(a.value.Text) && slices.Contains([]string{"AWS_DEFAULT_REGION", "AWS_REGION", "EC2_REGION"}, a.name) {
			add(&n.Regions, a.value.Text, a.line)
		}
	}
	none, nested := regexp.MustCompile(harmless), regexp.MustCompile(asking)
	for _, c := range l.out {
		switch p := c.Program(); {
		case n.call(c):
		case p == "curl" || p == "wget":
			n.fetch(c)
		case p == "" || none.MatchString(p) || l.functions[p] || c.Nested && nested.MatchString(p):
			if effect := sideEffect(c); effect != "" {
				n.Others = append(n.Others, Value{Text: effect, Line: c.Line})
			}
		default:
			n.Others = append(n.Others, Value{Text: p, Line: c.Line})
		}
	}
}

// sideEffect says what a harmless program changes all the same, or is empty. Others may go by the file that it writes.
func sideEffect(c Command) string {
	args, written := c.texts(), c.Writes
	switch c.Program() {
	case "sed":
		if slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "-i") || strings.HasPrefix(a, "--in-place") }) {
			return "sed -i"
		}
	case "tee":
		files := slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
		written = slices.Concat(written, files)
	}
	unread := regexp.MustCompile(passing)
	if slices.ContainsFunc(written, func(file string) bool { return !unread.MatchString(file) }) {
		return "writing a file"
	}
	return ""
}

func (n *Notify) fetch(c Command) {
	all := strings.Join(c.texts(), " ")
	switch {
	case !strings.Contains(all, metadataAddress):
		n.Others = append(n.Others, Value{Text: c.Program(), Line: c.Line})
	case !strings.Contains(strings.ToLower(all), "x-aws-ec2-metadata-token"):
		n.MetadataV1 = append(n.MetadataV1, c.Line)
	}
}

// add appends a value that is not there yet.
func add(values *[]Value, text string, line int) {
	if text != "" && !slices.ContainsFunc(*values, func(v Value) bool { return v.Text == text }) {
		*values = append(*values, Value{Text: text, Line: line})
	}
}
