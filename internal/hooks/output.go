package hooks

import (
	"bufio"
	"io"
	"time"

	"go.uber.org/zap"
)

// What is logged of one run. The rest is read, so that the program goes on, and counted.
const (
	maxLines = 100
	maxLine  = 1024 // bytes; a longer line is logged in pieces
)

// The pace at which the rest is read: a program that floods its output waits for us, and takes no processor from the agent.
const (
	discardStep  = 64 << 10
	discardEvery = 10 * time.Millisecond
)

// logOutput logs what a program says, line by line, until it closes its output or the deadline of output comes.
func logOutput(output io.Reader, log *zap.Logger) {
	lines := bufio.NewReaderSize(output, maxLine)
	for range maxLines {
		line, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		log.Info("hook output", zap.String("line", printable(string(line))))
	}
	if rest := discard(lines); rest > 0 {
		log.Warn("hook output cut", zap.Int("lines", maxLines), zap.Int64("bytes_dropped", rest))
	}
}

// discard reads to the end and returns how much that was.
func discard(output io.Reader) int64 {
	pace := time.NewTicker(discardEvery)
	defer pace.Stop()
	var total int64
	for {
		n, err := io.CopyN(io.Discard, output, discardStep)
		total += n
		if err != nil {
			return total
		}
		<-pace.C
	}
}
