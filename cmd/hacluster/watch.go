package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hacluster/hacluster/internal/adminapi"
)

const watchEvery = time.Second

// What a terminal understands (ECMA-48): to the top left; clear the rest of the line; clear the rest of the screen.
const (
	cursorHome = "\x1b[H"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

// watchStatus shows the status every second until ctx ends. An agent that does not answer is waited for.
func watchStatus(ctx context.Context, w io.Writer, client *adminapi.Client, output *format) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	frame := plainFrame
	if isTerminal(w) {
		frame = terminalFrame
	}
	for {
		var text bytes.Buffer
		s, err := askStatus(ctx, client)
		if err == nil {
			err = writeStatus(&text, s, output)
		}
		if ctx.Err() != nil {
			return nil // somebody has seen enough
		}
		if err != nil {
			fmt.Fprintf(&text, "! %v\n", err)
		}
		if _, err := w.Write(frame(text.Bytes())); err != nil {
			return fmt.Errorf("write the status: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// terminalFrame writes over the frame before, line by line: clearing the screen first would flicker.
func terminalFrame(text []byte) []byte {
	return []byte(cursorHome + string(bytes.ReplaceAll(text, []byte("\n"), []byte(clearLine+"\n"))) + clearBelow)
}

// plainFrame is for a pipe.
func plainFrame(text []byte) []byte { return append(text, '\n') }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
