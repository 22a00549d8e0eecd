package script

import (
	"net/url"
	"slices"
	"strings"
)

const (
	statusGood = "200-399" // what curl -f and wget are content with
	statusAny  = "100-599" // what curl is content with
)

// options reads a command's options: letters, which may be joined, and long ones. flags take no value, valued do.
type options struct {
	flags, valued map[string]bool
}

// parse returns each option's last value, "" for flags, and the other arguments. It reports false for an unknown option.
func (o options) parse(args []string) (map[string]string, []string, bool) {
	found, rest := map[string]string{}, []string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case !strings.HasPrefix(arg, "-") || arg == "-":
			rest = append(rest, arg)
		case strings.HasPrefix(arg, "--") && o.flags[arg]:
			found[arg] = ""
		case strings.HasPrefix(arg, "--") && o.valued[name]:
			if !joined {
				if i++; i == len(args) {
					return nil, nil, false
				}
				value = args[i]
			}
			found[name] = value
		case strings.HasPrefix(arg, "--"):
			return nil, nil, false
		default:
			used, ok := o.letters(arg[1:], args[i+1:], found)
			if !ok {
				return nil, nil, false
			}
			i += used
		}
	}
	return found, rest, true
}

// letters reads one group such as -sSfm5 or -m 5. It returns how many of the arguments behind it belong to it.
func (o options) letters(group string, behind []string, found map[string]string) (int, bool) {
	for i := range len(group) {
		letter := "-" + group[i:i+1]
		switch {
		case o.flags[letter]:
			found[letter] = ""
		case o.valued[letter] && i+1 < len(group):
			found[letter] = group[i+1:]
			return 0, true
		case o.valued[letter] && len(behind) > 0:
			found[letter] = behind[0]
			return 1, true
		default:
			return 0, false
		}
	}
	return 0, true
}

func set(names ...string) map[string]bool {
	s := map[string]bool{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

// has reports whether one of the names of an option was given, and its value.
func has(found map[string]string, names ...string) (string, bool) {
	for _, n := range names {
		if value, ok := found[n]; ok {
			return value, true
		}
	}
	return "", false
}

// readCurl recognises a plain GET or HEAD over http.
func readCurl(args []string) (Check, bool) {
	curl := options{
		flags: set("-s", "-S", "-f", "-k", "-L", "-I", "-i", "-v", "-q", "-4", "-N", "--silent", "--show-error", "--fail", "--insecure",
			"--location", "--head", "--include", "--ipv4", "--no-buffer"),
		valued: set("-o", "-m", "-H", "-A", "-w", "-X", "--output", "--max-time", "--connect-timeout", "--header", "--user-agent", "--write-out", "--request"),
	}
	if countHeaders(args) > 1 {
		return Check{}, false
	}
	found, rest, ok := curl.parse(args)
	if !ok || len(rest) != 1 {
		return Check{}, false
	}
	check := Check{Kind: HTTP, Status: statusAny}
	if method, given := has(found, "-X", "--request"); given && method != "GET" && method != "HEAD" {
		return Check{}, false
	}
	if header, given := has(found, "-H", "--header"); given {
		name, host, _ := strings.Cut(header, ":")
		if !strings.EqualFold(name, "Host") {
			return Check{}, false
		}
		check.Host = strings.TrimSpace(host)
	}
	if _, fails := has(found, "-f", "--fail"); fails {
		check.Status = statusGood
	} else {
		check.Changes = append(check.Changes, "curl without -f is content with every answer, a 503 included, and so is this check: consider status [\"200-399\"]")
	}
	if _, head := has(found, "-I", "--head"); head {
		check.Changes = append(check.Changes, "GET is sent instead of HEAD")
	}
	if _, follows := has(found, "-L", "--location"); follows {
		check.Changes = append(check.Changes, "redirects are not followed: a 3xx is the answer")
	}
	for _, name := range []string{"--connect-timeout", "--max-time", "-m"} {
		if value, given := found[name]; given {
			check.Timeout = seconds(value)
		}
	}
	return withURL(check, rest[0])
}

func countHeaders(args []string) int {
	n := 0
	for _, arg := range args {
		if arg == "-H" || strings.HasPrefix(arg, "--header") {
			n++
		}
	}
	return n
}

// readWget recognises a plain GET over http whose answer is thrown away.
func readWget(args []string) (Check, bool) {
	wget := options{
		flags:  set("-q", "--quiet", "--spider", "-S", "--no-verbose", "--server-response", "-nv"),
		valued: set("-O", "-T", "-t", "--timeout", "--tries", "--output-document", "--header"),
	}
	args = without(args, "-nv")
	for i, arg := range args {
		if strings.HasPrefix(arg, "-q") && len(arg) > 2 { // -qO-
			args = slices.Replace(slices.Clone(args), i, i+1, "-q", "-"+arg[2:])
			break
		}
	}
	found, rest, ok := wget.parse(args)
	if !ok || len(rest) != 1 {
		return Check{}, false
	}
	check := Check{Kind: HTTP, Status: statusGood, Changes: []string{"redirects are not followed: a 3xx is the answer"}}
	if header, given := has(found, "--header"); given {
		name, host, _ := strings.Cut(header, ":")
		if !strings.EqualFold(name, "Host") {
			return Check{}, false
		}
		check.Host = strings.TrimSpace(host)
	}
	if value, given := has(found, "-T", "--timeout"); given {
		check.Timeout = seconds(value)
	}
	return withURL(check, rest[0])
}

// withURL completes a check with a URL that hacluster's http check accepts: http, without a password.
func withURL(check Check, text string) (Check, bool) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Port() != "" && !isPort(u.Port()) {
		return Check{}, false
	}
	if u.Path == "" {
		u.Path = "/"
	}
	check.URL = u.String()
	return check, true
}
