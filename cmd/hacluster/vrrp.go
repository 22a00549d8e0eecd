package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hacluster/hacluster/internal/packets"
	"github.com/hacluster/hacluster/internal/vrrpaudit"
)

func vrrpCommand() *cobra.Command {
	parent := &cobra.Command{Use: "vrrp", Short: "Look at VRRP packets, of hacluster and of anything else that speaks VRRP",
		Example: "  hacluster vrrp listen\n  hacluster vrrp verify vrrp.pcap"}
	parent.AddCommand(vrrpListenCommand(), vrrpVerifyCommand())
	return parent
}

type listenFlags struct {
	device string
	output *format
	vrid   uint8
	count  uint
}

func vrrpListenCommand() *cobra.Command {
	var flags listenFlags
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Show the VRRP packets that this machine sends and receives, as they pass",
		Example: "  hacluster vrrp listen\n  hacluster vrrp listen --interface ens5 --vrid 51 --count 10\n" +
			"  hacluster vrrp listen -o json | jq 'select(.advert.priority == 0)'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listener, err := packets.Listen(flags.device)
			if err != nil {
				return err
			}
			defer func() { _ = listener.Close() }()
			return flags.listen(cmd.Context(), listener, flags.printer(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().StringVarP(&flags.device, "interface", "i", "", "the interface to listen on (default: all)")
	cmd.Flags().Uint8Var(&flags.vrid, "vrid", 0, "show this virtual router only")
	cmd.Flags().UintVarP(&flags.count, "count", "c", 0, "end after so many packets (default: when interrupted)")
	flags.output = addFormat(cmd, "text")
	return cmd
}

// printer writes one line for each packet; as JSON that is one object.
func (f listenFlags) printer(w io.Writer) func(vrrpaudit.Line) error {
	if f.output.json() {
		encoder := json.NewEncoder(w)
		return func(l vrrpaudit.Line) error { return encoder.Encode(l) }
	}
	return func(l vrrpaudit.Line) error { _, err := fmt.Fprintln(w, l); return err }
}

func (f listenFlags) listen(ctx context.Context, listener *packets.Listener, show func(vrrpaudit.Line) error) error {
	for shown := uint(0); f.count == 0 || shown < f.count; {
		p, err := listener.Next(ctx)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		if f.vrid != 0 && (len(p.Message) < 2 || p.Message[1] != f.vrid) {
			continue
		}
		if err := show(vrrpaudit.Describe(p)); err != nil {
			return fmt.Errorf("write packet: %w", err)
		}
		shown++
	}
	return nil
}

type verifyFlags struct {
	peers     []string
	output    *format
	minTTL    uint8
	multicast bool
}

func vrrpVerifyCommand() *cobra.Command {
	var flags verifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Judge a capture: was there ever more than one Master, or none, and is every packet in order",
		Long: "Judge a pcap or pcapng file ('-' reads standard input) of VRRP packets, of hacluster, keepalived or anything else.\n" +
			"A long time without a Master before a hand-over is a warning.",
		Example: "  hacluster vrrp verify vrrp.pcap\n  hacluster vrrp verify --peers 10.0.1.11,10.0.2.11,10.0.3.11 -o json vrrp.pcap\n" +
			"  tcpdump -i any -w - 'ip proto 112' | hacluster vrrp verify -",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Interrupting a pipe ends what writes to it, and then this reads to the end. A second interrupt ends this too.
			context.AfterFunc(cmd.Context(), func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })
			return flags.verify(cmd, args[0])
		},
	}
	cmd.Flags().StringSliceVar(&flags.peers, "peers", nil, "the addresses that may speak; packets of others are violations")
	cmd.Flags().BoolVar(&flags.multicast, "multicast", false, "multicast packets are no violations (AWS carries none)")
	cmd.Flags().Uint8Var(&flags.minTTL, "min-ttl", 255, "the least TTL that is no violation")
	flags.output = addFormat(cmd, "text")
	exits(cmd, "clean, or warnings only", "violations", "not judged, or not to the end: no capture, no VRRP in it, or it breaks off; or the command line is wrong")
	return cmd
}

func (f verifyFlags) verify(cmd *cobra.Command, file string) error {
	opts, err := f.options()
	if err != nil {
		return notTried(err)
	}
	in, name := os.Stdin, "standard input"
	if file != "-" {
		name = file
		if in, err = os.Open(file); err != nil {
			return notTried(err)
		}
		defer func() { _ = in.Close() }()
	}
	reader, err := packets.NewReader(in)
	if err != nil {
		return notTried(fmt.Errorf("%s: %w", name, err))
	}
	report := judge(reader, opts, name)
	if err := f.output.write(cmd.OutOrStdout(), report, report.WriteText); err != nil {
		return notTried(fmt.Errorf("write report: %w", err))
	}
	switch report.Verdict {
	case vrrpaudit.Clean:
		return nil
	case vrrpaudit.Violations:
		return &exitError{status: statusNotDone}
	default:
		return &exitError{status: statusNotTried}
	}
}

// judge reads to the end of the capture, or as far as it can.
func judge(reader *packets.Reader, opts vrrpaudit.Options, name string) vrrpaudit.Report {
	audit := vrrpaudit.New(opts)
	for {
		p, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return audit.Report(name, reader.Stats(), nil)
		} else if err != nil {
			return audit.Report(name, reader.Stats(), err)
		}
		audit.Add(p)
	}
}

func (f verifyFlags) options() (vrrpaudit.Options, error) {
	opts := vrrpaudit.Options{Multicast: f.multicast, MinTTL: f.minTTL}
	for _, peer := range f.peers {
		addr, err := netip.ParseAddr(peer)
		if err != nil {
			return opts, fmt.Errorf("peer %q: write an IP address: %w", peer, err)
		}
		opts.Peers = append(opts.Peers, addr)
	}
	return opts, nil
}
