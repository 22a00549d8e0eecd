package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/keepalived"
	"github.com/hacluster/hacluster/internal/keepalived/convert"
)

// importFlags are the flags of import-keepalived.
type importFlags struct {
	request     convert.Request
	third       string
	out, report string
	output      *format
	force       bool
}

func importKeepalivedCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import-keepalived FILE...",
		Short: "Make a configuration out of the keepalived.conf of each node and the notify script that moves the Elastic IP",
		Long: "Reads the keepalived.conf of each node of a pair, and the notify scripts beside them, and writes one commented configuration for the\n" +
			"cluster, and a report: what was converted, what changed in meaning and why, what was dropped, what had to be refused. Nothing is executed.",
		Example: "  hacluster config import-keepalived a/keepalived.conf b/keepalived.conf --third lb-c=10.0.3.11,witness --out hacluster.yaml\n" +
			"  hacluster config import-keepalived keepalived.conf --host lb-a,lb-b --script master.sh   # one file with @host lines",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.request.Configs = args
			f.request.LookupEnv = os.LookupEnv
			return runImport(cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.request.Scripts, "script", nil, "a notify script that is not beside the file that names it")
	flags.StringSliceVar(&f.request.Names, "node-names", nil, "names of the nodes, in the order of the files: their short host names")
	flags.StringSliceVar(&f.request.Hosts, "host", nil, "the hosts for which @host lines are read: one for each file, or several for one")
	flags.StringVar(&f.request.Instance, "instance", "", "the vrrp_instance to convert, where a file has several")
	flags.StringVar(&f.request.AllocationID, "allocation-id", "", "of the Elastic IP, where the scripts only know its public address")
	flags.StringVar(&f.third, "third", "", "the third node: NAME=ADDRESS, or NAME=ADDRESS,witness")
	flags.StringVar(&f.out, "out", "", "file to write the configuration to (default: standard output)")
	flags.BoolVar(&f.force, "force", false, "overwrite the file of --out")
	flags.StringVar(&f.report, "report", "", "file to write the report to, or - (default: standard error)")
	f.output = addFormat(cmd, "text")
	exits(cmd, "written, and the file passes 'config check'", "written, but steps are open; or not written, since something had to be refused",
		"a file cannot be read, or has a syntax error; or the command line is wrong")
	return cmd
}

func runImport(cmd *cobra.Command, f importFlags) error {
	if err := f.complete(); err != nil {
		return notTried(err)
	}
	text, report, err := convert.Convert(keepalived.Disk{}, f.request)
	if err != nil {
		return notTried(fmt.Errorf("import: %w", err))
	}
	if err := f.writeReport(cmd, report); err != nil {
		return err
	}
	if report.Result == convert.Refused {
		return errors.New("import: refused, see the report; nothing was written")
	}
	if err := f.writeConfig(cmd.OutOrStdout(), text); err != nil {
		return err
	}
	if report.Result == convert.Incomplete {
		return errors.New("import: steps are open, see the report")
	}
	return nil
}

// complete checks the flags.
func (f *importFlags) complete() error {
	if f.report == "-" && f.out == "" {
		return errors.New("report and configuration would both go to standard output: give --out")
	}
	if id := f.request.AllocationID; id != "" && !regexp.MustCompile(`^eipalloc-[0-9a-f]{8,17}$`).MatchString(id) {
		return fmt.Errorf("allocation id %q: write one such as eipalloc-0123456789abcdef0", id)
	}
	if f.third == "" {
		return nil
	}
	third, err := parseThird(f.third)
	if err != nil {
		return err
	}
	f.request.Third = &third
	return nil
}

// parseThird reads NAME=ADDRESS[:PORT][,witness].
func parseThird(text string) (convert.Node, error) {
	wrong := fmt.Errorf("third node %q: write NAME=ADDRESS, for example lb-c=10.0.3.11,witness", text)
	name, rest, _ := strings.Cut(text, "=")
	place, role, hasRole := strings.Cut(rest, ",")
	if !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`).MatchString(name) || hasRole && role != "witness" {
		return convert.Node{}, wrong
	}
	address, err := netip.ParseAddrPort(place)
	if err != nil {
		ip, err := netip.ParseAddr(place)
		if err != nil {
			return convert.Node{}, wrong
		}
		address = netip.AddrPortFrom(ip, convert.Port)
	}
	if !address.Addr().Is4() || address.Port() == 0 {
		return convert.Node{}, wrong
	}
	return convert.Node{Name: name, Address: address, Witness: hasRole}, nil
}

func (f *importFlags) writeReport(cmd *cobra.Command, report convert.Report) error {
	switch f.report {
	case "":
		return f.print(cmd.ErrOrStderr(), report)
	case "-":
		return f.print(cmd.OutOrStdout(), report)
	}
	file, err := os.Create(f.report)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(f.print(file, report), file.Close())
}

func (f *importFlags) print(w io.Writer, report convert.Report) error {
	if !f.output.json() {
		return report.Write(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(report)
}

// writeConfig writes the configuration for root alone: it may hold the password of VRRP's authentication.
func (f *importFlags) writeConfig(stdout io.Writer, text []byte) error {
	if f.out == "" {
		_, err := stdout.Write(text)
		return err
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if f.force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(f.out, mode, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: give --force to overwrite it", f.out)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
