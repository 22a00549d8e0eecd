package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckProgram: every unsafe part of the way to a program is found and named, with what to do. Each row changes one thing about a
// program that is safe: DIR/bin/hook.
func TestCheckProgram(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		path   string // DIR/bin/hook if empty
		want   string // "" = safe
	}{
		{name: "safe", change: func(*testing.T, string) {}},
		{name: "not clean, but safe", path: "DIR//bin/../bin/./hook", change: func(*testing.T, string) {}},
		{name: "file writable by its group", change: chmod("bin/hook", 0o770),
			want: "DIR/bin/hook is writable by its group; run 'chmod g-w DIR/bin/hook'"},
		{name: "file writable by others", change: chmod("bin/hook", 0o757),
			want: "DIR/bin/hook is writable by others; run 'chmod o-w DIR/bin/hook'"},
		{name: "file of somebody else", change: chown("bin/hook"),
			want: "DIR/bin/hook belongs to user 65534, who could change what is run; run 'chown root DIR/bin/hook'"},
		{name: "directory writable by its group", change: chmod("bin", 0o775),
			want: "DIR/bin is writable by its group; run 'chmod g-w DIR/bin'"},
		{name: "directory above it writable by others", change: chmod(".", 0o757), want: "DIR is writable by others; run 'chmod o-w DIR'"},
		{name: "directory of somebody else", change: chown("bin"),
			want: "DIR/bin belongs to user 65534, who could change what is run; run 'chown root DIR/bin'"},
		{name: "sticky directory", change: chmod("bin", 0o777|os.ModeSticky),
			want: "DIR/bin is writable by others; move the program, for example to /etc/hacluster"},
		{name: "missing", path: "DIR/bin/hok", change: func(*testing.T, string) {},
			want: "DIR/bin/hok does not exist; create it, or correct the path"},
		{name: "missing directory", path: "DIR/sbin/hook", change: func(*testing.T, string) {},
			want: "DIR/sbin does not exist; create it, or correct the path"},
		{name: "a file where a directory should be", path: "DIR/bin/hook/me", change: func(*testing.T, string) {},
			want: "look at DIR/bin/hook/me: lstat DIR/bin/hook/me: not a directory"},
		{name: "not executable", change: chmod("bin/hook", 0o600),
			want: "DIR/bin/hook is not executable (permission denied); run 'chmod +x DIR/bin/hook'"},
		{name: "a directory", path: "DIR/bin", change: func(*testing.T, string) {}, want: "DIR/bin is not a file; name the program"},
		{name: "a good link", path: "DIR/link", change: symlink("bin/hook", "link")},
		{name: "a link over a link and back", path: "DIR/a/b/hook", change: func(t *testing.T, dir string) {
			symlink("bin", "a")(t, dir)
			symlink("../a/../bin", "bin/b")(t, dir)
		}},
		{name: "a link into an unsafe directory", path: "DIR/link", change: func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "open"), 0o700))
			chmod("open", 0o777)(t, dir)
			must(t, os.Rename(filepath.Join(dir, "bin/hook"), filepath.Join(dir, "open/hook")))
			symlink("open/hook", "link")(t, dir)
		}, want: "DIR/open is writable by others; run 'chmod o-w DIR/open'"},
		{name: "an absolute link out of it", path: "DIR/link", change: symlink("/tmp/hook", "link"),
			want: "/tmp is writable by others; move the program, for example to /etc/hacluster"},
		{name: "a circle of links", path: "DIR/link", change: symlink("link", "link"),
			want: "DIR/link leads nowhere, by symbolic links in a circle; name the file itself"},
		{name: "a link to nothing", path: "DIR/link", change: symlink("gone", "link"),
			want: "DIR/gone does not exist; create it, or correct the path"},
		{name: "no first line", change: write("bin/hook", "echo hello\n"),
			want: "DIR/bin/hook does not say how to run it; write '#!/bin/sh' as its first line"},
		{name: "empty", change: write("bin/hook", ""), want: "DIR/bin/hook does not say how to run it; write '#!/bin/sh' as its first line"},
		{name: "written on Windows", change: write("bin/hook", "#!/bin/sh\r\necho hello\r\n"),
			want: `DIR/bin/hook has lines that end as in Windows; run "sed -i 's/\r$//' DIR/bin/hook"`},
		{name: "relative interpreter", change: write("bin/hook", "#! python3\n"),
			want: "DIR/bin/hook names an interpreter that is no absolute path, python3; write '#!/bin/sh'"},
		{name: "missing interpreter", change: write("bin/hook", "#!/bin/bsh -e\n"),
			want: "interpreter of DIR/bin/hook: REAL/bin/bsh does not exist; create it, or correct the path"},
		{name: "unsafe interpreter", change: func(t *testing.T, dir string) {
			write("python", "#!/bin/sh\n")(t, dir)
			chmod("python", 0o777)(t, dir)
			write("bin/hook", "#!"+dir+"/python -u\n")(t, dir)
		}, want: "interpreter of DIR/bin/hook: DIR/python is writable by others; run 'chmod o-w DIR/python'"},
		{name: "interprets itself", change: func(t *testing.T, dir string) { write("bin/hook", "#!"+dir+"/bin/hook\n")(t, dir) },
			want: "DIR/bin/hook is interpreted by a script, and that by another, too often; name a program in its first line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := safeDir(t)
			must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o700))
			write("bin/hook", "#!/bin/sh\n")(t, dir)
			tt.change(t, dir)
			if tt.path == "" {
				tt.path = "DIR/bin/hook"
			}
			got := ""
			if err := CheckProgram(strings.ReplaceAll(tt.path, "DIR", dir)); err != nil {
				got = err.Error()
			}
			bin, err := filepath.EvalSymlinks("/bin")
			must(t, err)
			want := strings.NewReplacer("DIR", dir, "REAL/bin", bin).Replace(tt.want)
			if !strings.HasSuffix(got, want) || (want == "") != (got == "") {
				t.Errorf("check says\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func chmod(name string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, name), mode)) }
}

func chown(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Lchown(filepath.Join(dir, name), 65534, 65534)) }
}

func symlink(target, name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(t, os.Symlink(target, filepath.Join(dir, name))) }
}

func write(name, text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
}

// TestConfigCheck: all hooks that cannot be run are named at once, by their keys, before the agent takes part.
func TestConfigCheck(t *testing.T) {
	dir := safeDir(t)
	missing := filepath.Join(dir, "missing")
	_, err := New(Config{Notify: []string{missing}, NotifyStop: []string{missing, "stop"}, NotifyMaster: []string{"/bin/sh"}}, nil)
	const remedy = " does not exist; create it, or correct the path"
	want := "hooks.notify: " + missing + remedy + "\nhooks.notify_stop: " + missing + remedy
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
