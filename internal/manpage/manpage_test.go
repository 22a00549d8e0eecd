package manpage

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// tree is a program with all that a page has to show: text that groff would misread, flags of each kind, commands at three depths, and
// one that is hidden.
func tree() *cobra.Command {
	root := &cobra.Command{Use: "pilot", Short: "Keeps a ship on its course"}
	steer := &cobra.Command{
		Use: "steer COURSE", Short: "Steer by hand",
		Long: "Takes the wheel.\n\n.hidden files and 'quoted words' at the beginning of a line\nare text, as is C:\\ here.",
		Example: "  pilot steer 270\n" +
			"  pilot steer --log '~/logs/today' 90   # a line of its own",
		Annotations: map[string]string{ExitStatus: "  0  on course\n  1  aground\n"},
		Run:         func(*cobra.Command, []string) {},
	}
	steer.Flags().StringP("log", "l", "/var/log/pilot", "write to `FILE`")
	steer.Flags().Duration("within", 0, "how long it may take")
	steer.Flags().Bool("dry-run", false, "only say what would be done")
	steer.Flags().String("secret", "", "nobody needs to know")
	_ = steer.Flags().MarkHidden("secret")
	watch := &cobra.Command{Use: "watch", Short: "EC2 and other things to look at"}
	watch.AddCommand(&cobra.Command{Use: "depth", Short: "Show the depth", Run: func(*cobra.Command, []string) {}})
	hidden := &cobra.Command{Use: "docs", Hidden: true, Run: func(*cobra.Command, []string) {}}
	root.AddCommand(steer, watch, hidden)
	return root
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	h := Header{Date: time.Date(2026, 11, 23, 23, 0, 0, 0, time.FixedZone("", -3600)), Version: "1.2.3"}
	pages, err := WriteTree(dir, tree(), h)
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 || pages != 4 {
		t.Errorf("%d files, said %d, want 4: one for each command that is not hidden", len(files), pages)
	}
	for _, file := range []string{"pilot.1", "pilot-steer.1", "pilot-watch.1"} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			continue
		}
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", golden, diff)
		}
	}
}
