// Command watch looks at HAProxy for the tuned keepalived and tells it through a tracked file: 0 is well, 1 is not.
//
//	watch exit FILE         1 when the last HAProxy process has ended: what vrrp_track_process knows from the kernel
//	watch answer FILE URL   1 when two requests in a row, 50 ms apart, were not answered within 150 ms
//	watch once URL          a vrrp_script: status 1 unless the request is answered within 250 ms
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	process = "haproxy"
	// rescan is how often watch exit looks for a HAProxy that has started again.
	rescan = 100 * time.Millisecond

	interval       = 50 * time.Millisecond
	answerDeadline = 150 * time.Millisecond
	onceDeadline   = 250 * time.Millisecond
	fall           = 2
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "exit":
		return watchExit(args[1])
	case len(args) == 3 && args[0] == "answer":
		return watchAnswers(args[1], args[2])
	case len(args) == 2 && args[0] == "once":
		return ask(args[1], onceDeadline)
	default:
		return fmt.Errorf("do not know how to %v", args)
	}
}

func watchExit(file string) error {
	for {
		pids, err := find()
		if err != nil {
			return err
		}
		if err := tell(file, len(pids) > 0); err != nil {
			return err
		}
		if err := await(pids); err != nil {
			return err
		}
	}
}

// find returns the HAProxy processes that live.
func find() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // ended in the meantime
		}
		_, rest, _ := strings.Cut(string(stat), "(")
		name, rest, _ := strings.Cut(rest, ") ")
		if name == process && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// await returns when one of the processes has ended or, if there is none, after a while.
func await(pids []int) error {
	timeout := int(rescan.Milliseconds())
	var fds []unix.PollFd
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return nil // it has ended: look again
		}
		defer unix.Close(fd)
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		timeout = -1
	}
	if _, err := unix.Poll(fds, timeout); err != nil && err != unix.EINTR {
		return err
	}
	return nil
}

func watchAnswers(file, url string) error {
	answers := make(chan error, int(answerDeadline/interval)+1) // as many as can be in flight
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	failed := 0
	for {
		select {
		case <-ticker.C:
			go func() { answers <- ask(url, answerDeadline) }()
			continue
		case err := <-answers:
			failed++
			if err == nil {
				failed = 0
			}
		}
		if err := tell(file, failed < fall); err != nil {
			return err
		}
	}
}

func ask(url string, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

// tell writes one character in place: a file that was truncated first could be read while it is empty, which means 0.
func tell(file string, well bool) error {
	text := "1\n"
	if well {
		text = "0\n"
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	old := make([]byte, len(text))
	if n, _ := f.Read(old); string(old[:n]) == text {
		return nil
	}
	_, err = f.WriteAt([]byte(text), 0)
	return err
}
