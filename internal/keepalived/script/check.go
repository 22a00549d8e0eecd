package script

import (
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a check asks.
type Kind string

// The kinds, named as in hacluster's section health.
const (
	Process Kind = "process"
	Stats   Kind = "stats"
	HTTP    Kind = "http"
	TCP     Kind = "tcp"
)

// Check is a check command in terms of hacluster's own checks.
type Check struct {
	Kind    Kind
	Name    string        // process: of the program
	PIDFile string        // process: empty, or where its number is
	URL     string        // http
	Host    string        // http: the Host header, or empty
	Status  string        // http: the range that is healthy
	Address string        // tcp: host:port
	Socket  string        // stats: the path
	Timeout time.Duration // of the command's own; 0: none
	Changes []string      // what the native check does differently, each a clause
}

// maxComm is the length of a process name in /proc/PID/comm (proc(5)).
const maxComm = 15

// maxUnixPath is the length of sun_path without its final zero byte (unix(7)).
const maxUnixPath = 107

// compound finds what gives the exit status of a command another meaning.
const compound = `(^|[\s;&|(])(!|if|while|until|for|case|else|trap|function)\s`

// ReadCheck recognises the one command that decides about the exit status of text, which is a command line or a script.
// It reports false for everything that it does not understand completely.
func ReadCheck(text string) (Check, bool) { return readCheck(text, maxNesting) }

func readCheck(text string, depth int) (Check, bool) {
	if depth == 0 || regexp.MustCompile(compound).MatchString(text) {
		return Check{}, false
	}
	commands, ok := dropExits(Parse(text))
	if !ok {
		return Check{}, false
	}
	switch first := commands[0]; {
	case len(commands) == 1 && slices.Contains([]string{"sh", "bash", "dash"}, first.Program()):
		if args := first.texts(); len(args) >= 2 && args[0] == "-c" {
			return readCheck(args[1], depth-1)
		}
		return Check{}, false
	case len(commands) == 1:
		return readCommand(first)
	case first.Program() == "cat" && first.Nested:
		return readPIDFile(commands)
	default:
		return readPipe(commands)
	}
}

// dropExits removes a tail that leaves the verdict as it is, such as "|| exit 1". Another tail is not understood.
func dropExits(commands []Command) ([]Command, bool) {
	for len(commands) > 0 {
		last := commands[len(commands)-1]
		if last.Then == "&" {
			return nil, false
		}
		if p := last.Program(); p != "exit" && p != "return" && p != "false" {
			return commands, true
		}
		before := ";"
		if len(commands) > 1 {
			before = commands[len(commands)-2].Then
		}
		code := strings.Join(last.texts(), " ")
		if !keepsVerdict(before, code, len(last.Words) > 1 && last.Words[1].Unknown) {
			return nil, false
		}
		commands = commands[:len(commands)-1]
	}
	return nil, false
}

func keepsVerdict(before, code string, unknown bool) bool {
	switch before {
	case "||":
		return code != "0" && !unknown
	case "&&":
		return code == "0" || code == ""
	default:
		return code == "" || unknown // exit $?
	}
}

// readCommand recognises a single command.
func readCommand(c Command) (Check, bool) {
	if check, ok := readDevTCP(c); ok {
		return check, true
	}
	if c.unknown() || len(c.Words) == 0 || !quiet(c) {
		return Check{}, false
	}
	args := c.texts()
	if strings.HasPrefix(c.Words[0].Text, "/etc/init.d/") {
		return readService(append([]string{c.Program()}, args...))
	}
	switch c.Program() {
	case "pidof":
		return readPidof(args)
	case "killall":
		return readKillall(args)
	case "pgrep":
		return readPgrep(args)
	case "systemctl":
		return readSystemctl(args)
	case "service":
		return readService(args)
	case "curl":
		return readCurl(args)
	case "wget":
		return readWget(args)
	case "nc", "ncat", "netcat":
		return readNetcat(args)
	}
	return Check{}, false
}

// quiet reports whether all redirections only silence a command.
func quiet(c Command) bool {
	return !slices.ContainsFunc(c.Redirects, func(target string) bool { return target != "/dev/null" })
}

func process(name string, changes ...string) (Check, bool) {
	name = path.Base(name)
	if !regexp.MustCompile(`^[A-Za-z0-9_.:+-]+$`).MatchString(name) {
		return Check{}, false
	}
	return Check{Kind: Process, Name: name[:min(len(name), maxComm)], Changes: changes}, true
}

// byOtherName takes the name of a unit or a file, or a part of a name, for that of the process only where it is known to be that. A
// process of a name that does not exist would never be healthy.
func byOtherName(name string, changes ...string) (Check, bool) {
	if base := path.Base(name); base != "haproxy" && base != "nginx" {
		return Check{}, false
	}
	return process(name, changes...)
}

func readPidof(args []string) (Check, bool) {
	args = without(args, "-s", "-x", "-q", "-c")
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return Check{}, false
	}
	return process(args[0])
}

func readKillall(args []string) (Check, bool) {
	text := " " + strings.Join(args, " ")
	for _, zero := range []string{" -s 0", " --signal 0", " --signal=0", " -0"} {
		if rest, found := cutOnce(text, zero); found {
			return readPidof(without(strings.Fields(rest), "-e", "-v", "-I", "-w"))
		}
	}
	return Check{}, false
}

func readPgrep(args []string) (Check, bool) {
	exact := slices.Contains(args, "-x") || slices.Contains(args, "--exact")
	command := slices.Contains(args, "-f") || slices.Contains(args, "--full")
	args = without(args, "-x", "--exact", "-f", "--full", "-c", "-o", "-n", "-l", "-a")
	if len(args) == 3 && (args[0] == "-u" || args[0] == "-U" || args[0] == "-P") {
		args = args[2:]
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return Check{}, false
	}
	switch {
	case command:
		return byOtherName(args[0], "pgrep -f searches whole command lines and finds an editor with the file open, too; the name of the process is "+
			"what counts now")
	case !exact:
		return byOtherName(args[0], "pgrep without -x is content with a part of the name; the whole name counts now")
	default:
		return process(args[0])
	}
}

func readSystemctl(args []string) (Check, bool) {
	args = without(args, "-q", "--quiet", "--no-pager")
	if len(args) != 2 || args[0] != "is-active" && args[0] != "status" {
		return Check{}, false
	}
	return byOtherName(strings.TrimSuffix(args[1], ".service"),
		"systemd was asked for the state of the unit; the processes themselves are watched now, so a unit that systemd is restarting counts as down at once")
}

func readService(args []string) (Check, bool) {
	if len(args) != 2 || args[1] != "status" {
		return Check{}, false
	}
	return byOtherName(args[0], "the init script was asked for its opinion; the processes themselves are watched now")
}

// readPIDFile recognises kill -0 $(cat FILE).
func readPIDFile(commands []Command) (Check, bool) {
	if len(commands) != 2 || commands[1].Program() != "kill" || !quiet(commands[1]) {
		return Check{}, false
	}
	file, args := commands[0].texts(), commands[1].texts()
	if len(file) != 1 || !path.IsAbs(file[0]) || len(args) != 2 || args[0] != "-0" || args[1] != "" {
		return Check{}, false
	}
	name := strings.TrimSuffix(path.Base(file[0]), path.Ext(file[0]))
	check, ok := byOtherName(name, "a process of another name that took the number over does not count any more")
	check.PIDFile = file[0]
	return check, ok
}

// readDevTCP recognises bash's redirection to /dev/tcp/HOST/PORT.
func readDevTCP(c Command) (Check, bool) {
	if !slices.Contains([]string{"", "echo", "printf", ":", "true", "cat"}, c.Program()) {
		return Check{}, false
	}
	for _, target := range c.Redirects {
		if rest, ok := strings.CutPrefix(target, "/dev/tcp/"); ok {
			host, port, ok := strings.Cut(rest, "/")
			return Check{Kind: TCP, Address: net.JoinHostPort(host, port)}, ok && isPort(port) && host != ""
		}
	}
	return Check{}, false
}

func readNetcat(args []string) (Check, bool) {
	check := Check{Kind: TCP}
	scan := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		letters, wait, waits := strings.Cut(args[0][1:], "w")
		args = args[1:]
		if strings.Trim(letters, "zvn4") != "" {
			return Check{}, false
		}
		scan = scan || strings.Contains(letters, "z")
		if waits && wait == "" && len(args) > 0 {
			wait, args = args[0], args[1:]
		}
		if check.Timeout = max(check.Timeout, seconds(wait)); waits && check.Timeout == 0 {
			return Check{}, false
		}
	}
	if !scan || len(args) != 2 || !isPort(args[1]) || args[0] == "" {
		return Check{}, false
	}
	check.Address = net.JoinHostPort(args[0], args[1])
	return check, true
}

// readPipe recognises echo "show info" | socat unix-connect:SOCKET stdio.
func readPipe(commands []Command) (Check, bool) {
	if len(commands) < 2 || commands[0].Program() != "echo" || commands[1].Program() != "socat" || commands[0].Then != "|" || commands[1].unknown() {
		return Check{}, false
	}
	if asked := strings.Join(commands[0].texts(), " "); asked != "show info" && asked != "show stat" {
		return Check{}, false
	}
	if len(commands) > 3 || len(commands) == 3 && (commands[1].Then != "|" || commands[2].Program() != "grep") {
		return Check{}, false
	}
	check := Check{Kind: Stats}
	for _, arg := range commands[1].texts() {
		socket := arg
		for _, scheme := range []string{"unix-connect:", "UNIX-CONNECT:", "unix:", "UNIX:"} {
			socket = strings.TrimPrefix(socket, scheme)
		}
		if path.IsAbs(socket) {
			check.Socket, _, _ = strings.Cut(socket, ",")
		}
	}
	if len(commands) == 3 {
		check.Changes = []string{"what grep looked for in the answer is not looked at any more: an answer of the current HAProxy is enough"}
	}
	return check, check.Socket != "" && len(check.Socket) <= maxUnixPath
}

// without removes options that change nothing.
func without(args []string, options ...string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return slices.Contains(options, arg) })
}

// cutOnce removes an option that a blank or the end follows.
func cutOnce(text, option string) (string, bool) {
	before, after, found := strings.Cut(text, option)
	return before + after, found && (after == "" || after[0] == ' ')
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// seconds reads a number of seconds with a fraction, or 0.
func seconds(text string) time.Duration {
	d, err := time.ParseDuration(text + "s")
	if err != nil || d < 0 {
		return 0
	}
	return d
}
