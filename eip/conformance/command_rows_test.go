package conformance

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// commandPath is Debian's aws command, not one that comes first in PATH.
const commandPath = "/usr/bin/aws"

// aws runs `aws ec2 args...` and notes what it prints, with names for ids, or the error code.
func (w *world) aws(args ...string) {
	w.t.Helper()
	if _, err := os.Stat(commandPath); err != nil {
		if os.Getenv("CI") == "true" {
			w.t.Fatal("no aws command: apt-get install awscli")
		}
		w.t.Skip("NOT TESTED: no aws command: apt-get install awscli")
	}
	global := []string{"ec2", "--endpoint-url", w.url, "--no-cli-pager", "--output", "text"}
	cmd := exec.CommandContext(w.t.Context(), commandPath, append(global, args...)...)
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+keySecret, "AWS_SESSION_TOKEN=",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true")
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if m := regexp.MustCompile(`An error occurred \((\S+)\)`).FindStringSubmatch(text); m != nil {
		w.saw(m[1])
		return
	}
	if err != nil {
		w.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	words := strings.Fields(text)
	for i, word := range words {
		if words[i] = w.nameOf(&word); strings.HasPrefix(word, "eipassoc-") {
			words[i] = w.name(word)
		}
	}
	w.saw(strings.Join(append([]string{args[0]}, words...), " "))
}

const (
	queryID   = "AssociationId"
	queryHome = "Addresses[].[PublicIp,NetworkInterfaceId,PrivateIpAddress,AssociationId]"
)

// commandRows are what operators and notify scripts do with the aws command.
func commandRows() []row {
	return []row{
		{
			name: "a fenced move", aws: saysAutomatic(),
			do: func(w *world) {
				to := func(n node) []string {
					return []string{"associate-address", "--allocation-id", *w.first.allocation, "--network-interface-id", *n.eni,
						"--private-ip-address", *n.primary, "--no-allow-reassociation", "--query", queryID}
				}
				w.aws(to(w.a)...)
				w.aws(to(w.b)...)
				w.aws("disassociate-address", "--association-id", *w.id("#1"))
				w.aws(to(w.b)...)
				w.aws("disassociate-address", "--association-id", *w.id("#1"))
				w.aws("describe-addresses", "--allocation-ids", *w.first.allocation, "--query", queryHome)
			},
			want: "associate-address #1, Resource.AlreadyAssociated, disassociate-address, associate-address #2, " +
				"InvalidAssociationID.NotFound, describe-addresses first b b #2",
		},
		{
			name: "the classic notify script", aws: source{"PublicIp: Deprecated.", pageDisassociate},
			do: func(w *world) {
				w.associate(w.to(w.a))
				w.aws("disassociate-address", "--public-ip", *w.first.public)
				w.aws("associate-address", "--public-ip", *w.first.public, "--instance-id", *w.b.instance, "--query", queryID)
				w.where(w.first)
			},
			want: "associated #1, disassociate-address, associate-address #2, first at b #2",
		},
		{
			name: "a dry run, and a search by tag", aws: saysDryRun(),
			do: func(w *world) {
				w.aws("associate-address", "--allocation-id", *w.first.allocation, "--instance-id", *w.a.instance, "--dry-run")
				w.aws("describe-addresses", "--filters", "Name=tag:Name,Values=front", "--query", "Addresses[].AllocationId")
			},
			want: "DryRunOperation, describe-addresses first",
		},
	}
}
