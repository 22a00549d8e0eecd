// Command sbom writes a software bill of materials for a Go program, in SPDX 2.3 (ISO/IEC 5962), and the licences of what it is made of.
//
// What is in a program says the program itself: the Go linker writes every module and its version into it.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	version := flag.String("version", "", "version of the program")
	licenses := flag.String("licenses", "", "also write the licences of all modules into this `file`")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom -version VERSION [-licenses FILE] PROGRAM")
		os.Exit(2)
	}
	if err := run(context.Background(), flag.Arg(0), *version, *licenses); err != nil {
		fmt.Fprintln(os.Stderr, "sbom: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, program, version, licenses string) error {
	data, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read program: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("read modules of %s: %w", program, err)
	}
	if licenses != "" {
		if err := writeLicenses(ctx, licenses, info); err != nil {
			return err
		}
	}
	at, err := created()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(describe(info, filepath.Base(program), version, hex.EncodeToString(sum[:]), at))
}

// created reads SOURCE_DATE_EPOCH, so that the document is the same whenever it is made.
func created() (string, error) {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return "", fmt.Errorf("read SOURCE_DATE_EPOCH, the time of the commit in seconds since 1970: %w", err)
	}
	return time.Unix(seconds, 0).UTC().Format(time.RFC3339), nil
}
