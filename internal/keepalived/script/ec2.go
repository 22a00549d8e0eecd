package script

import (
	"regexp"
	"slices"
	"strings"
)

// call takes in a command that calls EC2: by the aws command, by a variable that stands for it, or by Amazon's older tools.
// It reports false for other commands.
func (n *Notify) call(c Command) bool {
	program := c.Program()
	switch program {
	case "ec2-associate-address", "ec2assocaddr", "ec2-disassociate-address", "ec2disaddr":
		n.oldCall(c, strings.HasPrefix(program, "ec2-dis") || strings.HasPrefix(program, "ec2dis"))
		return true
	}
	arguments, named := awsOptions(c.Words[min(1, len(c.Words)):])
	for _, operation := range arguments {
		switch operation {
		case "associate-address":
			n.Associates = append(n.Associates, c.Line)
		case "disassociate-address":
			n.Disassociates = append(n.Disassociates, c.Line)
		default:
			continue
		}
		n.take(named, c.Line)
		return true
	}
	if program != "aws" {
		if len(named["--allocation-id"]) > 0 { // somebody's own program for it
			n.take(named, c.Line)
		}
		return false
	}
	n.otherCall(arguments, named, c.Line)
	return true
}

// otherCall takes in a call of the aws command that does not move the address.
func (n *Notify) otherCall(arguments []string, named map[string][]Word, line int) {
	service, operation := "", ""
	if len(arguments) > 0 {
		service = arguments[0]
	}
	if len(arguments) > 1 {
		operation = arguments[1]
	}
	reads := regexp.MustCompile(`^(describe|get|wait)`).MatchString(operation)
	switch {
	case service != "ec2":
		n.Others = append(n.Others, Value{Text: strings.TrimSpace("aws " + service), Line: line})
	case operation == "describe-addresses":
		n.take(named, line)
	case reads:
		n.takeRegion(named, line)
	default:
		n.OtherCalls = append(n.OtherCalls, Value{Text: "aws ec2 " + operation, Line: line})
	}
}

// take notes what a call names.
func (n *Notify) take(named map[string][]Word, line int) {
	values := func(to *[]Value, pattern string, options ...string) {
		form := regexp.MustCompile(`^(?:` + pattern + `)$`)
		for _, option := range options {
			for _, w := range named[option] {
				if !w.Unknown && form.MatchString(w.Text) {
					add(to, w.Text, line)
				}
			}
		}
	}
	const ip = `[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+`
	values(&n.Allocations, `eipalloc-[0-9a-f]{8,17}`, "--allocation-id", "--allocation-ids", "-a")
	values(&n.PublicIPs, ip, "--public-ip", "--public-ips", "-")
	values(&n.Instances, `i-[0-9a-f]{8,17}`, "--instance-id", "--instance", "-i")
	values(&n.Interfaces, `eni-[0-9a-f]{8,17}`, "--network-interface-id", "--network-interface", "-n")
	values(&n.PrivateIPs, ip, "--private-ip-address", "-p")
	n.takeRegion(named, line)
}

func (n *Notify) takeRegion(named map[string][]Word, line int) {
	for option, to := range map[string]*[]Value{"--region": &n.Regions, "--endpoint-url": &n.Endpoints, "--profile": &n.Profiles} {
		for _, w := range named[option] {
			if !w.Unknown && (to != &n.Regions || isRegion(w.Text)) {
				add(to, w.Text, line)
			}
		}
	}
}

func isRegion(text string) bool {
	return regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`).MatchString(text)
}

// awsOptions separates --name value, --name=value and switches from the other arguments.
func awsOptions(words []Word) ([]string, map[string][]Word) {
	switches := []string{
		"--allow-reassociation", "--no-allow-reassociation", "--dry-run", "--no-dry-run", "--no-verify-ssl", "--debug", "--no-paginate",
		"--no-sign-request", "--no-cli-pager", "--no-cli-auto-prompt", "--cli-auto-prompt",
	}
	var arguments []string
	named := map[string][]Word{}
	for i := 0; i < len(words); i++ {
		w := words[i]
		name, value, joined := strings.Cut(w.Text, "=")
		switch {
		case !strings.HasPrefix(w.Text, "--"):
			arguments = append(arguments, w.Text)
		case slices.Contains(switches, w.Text):
		case joined:
			named[name] = append(named[name], Word{Text: value, Unknown: w.Unknown})
		case i+1 < len(words) && !strings.HasPrefix(words[i+1].Text, "--"):
			i++
			named[w.Text] = append(named[w.Text], words[i])
		}
	}
	return arguments, named
}

// oldCall takes in ec2-associate-address [IP] [-a ALLOCATION] -i INSTANCE and its like.
func (n *Notify) oldCall(c Command, disassociates bool) {
	if disassociates {
		n.Disassociates = append(n.Disassociates, c.Line)
	} else {
		n.Associates = append(n.Associates, c.Line)
	}
	named := map[string][]Word{}
	for i, words := 0, c.Words[1:]; i < len(words); i++ {
		text := words[i].Text
		switch {
		case !strings.HasPrefix(text, "-"):
			named["-"] = append(named["-"], words[i])
		case text == "--allow-reassociation":
		case i+1 < len(words):
			i++
			named[text] = append(named[text], words[i])
		}
	}
	n.take(named, c.Line)
}
