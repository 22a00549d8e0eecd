// Command model checks claim.pml, the model of the claim protocol, with Spin: the protocol within bounds, exhaustively, and
// mutants of it that must each fail. docs/MODEL.md explains it; `make model` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"

	"golang.org/x/sync/errgroup"
)

// atOnce is how many verifiers run beside one another, each within memoryLimit.
const atOnce = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.BoolVar(&o.deep, "deep", false, "larger bounds (minutes instead of seconds, see docs/MODEL.md)")
	flag.StringVar(&o.only, "run", "", "only the runs whose name matches this regular expression")
	flag.StringVar(&o.model, "model", "model/claim.pml", "the model")
	flag.StringVar(&o.out, "out", "build/model", "where verifiers and message charts go")
	flag.Parse()
	if err := check(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

type options struct {
	deep             bool
	only, model, out string
}

// errFailed says that the table above it shows what is wrong.
var errFailed = errors.New("not as it must be, see above")

// check runs everything that o asks for and prints a line for each as it ends.
func check(ctx context.Context, o options) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("read -run: %w", err)
	}
	model, err := filepath.Abs(o.model)
	if err != nil {
		return fmt.Errorf("find the model: %w", err)
	}
	text, err := os.ReadFile(model)
	if err != nil {
		return fmt.Errorf("read the model: %w", err)
	}
	fmt.Printf("bounds unless a run says otherwise: %s\n%s\n", defaults(string(text)), header)
	var mu sync.Mutex
	failed := false
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, r := range runs(o.deep) {
		if !only.MatchString(r.name) {
			continue
		}
		group.Go(func() error {
			v, err := r.verify(ctx, model, o.out)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(row(r, v))
			failed = failed || !r.fulfilled(v)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if failed {
		return errFailed
	}
	return nil
}
