package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// format is how a command writes its answer: as a table, or text, for people; as JSON for programs.
type format struct{ word, people string }

// addFormat gives a command the flag -o. people is what it writes without: "table" or "text".
func addFormat(cmd *cobra.Command, people string) *format {
	f := &format{word: people, people: people}
	cmd.Flags().VarP(f, "output", "o", people+" or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{people, "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return f
}

// String implements pflag.Value.
func (f *format) String() string { return f.word }

// Type implements pflag.Value.
func (f *format) Type() string { return "string" }

// Set implements pflag.Value.
func (f *format) Set(word string) error {
	if word != f.people && word != "json" {
		return fmt.Errorf("write -o %s or -o json", f.people)
	}
	f.word = word
	return nil
}

func (f *format) json() bool { return f.word == "json" }

// write writes an answer: as JSON, or by the function that writes it for people.
func (f *format) write(w io.Writer, answer any, forPeople func(io.Writer) error) error {
	if !f.json() {
		return forPeople(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(answer)
}
