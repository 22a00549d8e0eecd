package main_test

import (
	"debug/elf"
	"slices"
	"strings"
	"testing"
)

// The program can make the calls to EC2 that it makes, and no other: what is not in it cannot be called, and does not make it
// forty megabytes larger (eip/calls.go says how they get in).
func TestTheProgramKnowsFewCallsOfEC2(t *testing.T) {
	program, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	const client = "github.com/aws/aws-sdk-go-v2/service/ec2.(*Client)."
	var calls []string
	for _, symbol := range symbols {
		name, ok := strings.CutPrefix(strings.TrimSuffix(symbol.Name, "-fm"), client) // the method, or a function that is bound to it
		if ok && name[0] >= 'A' && name[0] <= 'Z' && !strings.Contains(name, ".") && name != "Options" {
			calls = append(calls, name)
		}
	}
	slices.Sort(calls)
	calls = slices.Compact(calls)
	want := []string{"AssociateAddress", "DescribeAddresses", "DescribeInstances", "DisassociateAddress"}
	if !slices.Equal(calls, want) {
		t.Errorf("the program has %d calls of EC2, want %v: %.300v", len(calls), want, calls)
	}
}
