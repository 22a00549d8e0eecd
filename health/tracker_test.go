package health

import (
	"strings"
	"testing"
	"time"
)

// at is a moment of a scan, after boot.
const at = 100 * time.Second

// proc makes a live process that is a minute old and leads its own group, as a master does.
func proc(pid, parent int, edits ...func(*process)) process {
	p := process{processID: processID{pid: pid, start: at - time.Minute}, parent: parent, group: pid, innerPID: pid}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

// worker makes a child in its master's group.
func worker(pid, master int, edits ...func(*process)) process {
	p := proc(pid, master, edits...)
	p.group = master
	return p
}

// orphan makes a worker whose master is gone.
func orphan(pid, master int, edits ...func(*process)) process {
	p := worker(pid, master, edits...)
	p.parent = 1
	return p
}

func replacing(pids ...int) func(*process) { return func(p *process) { p.replaces = pids } }
func inner(pid int) func(*process)         { return func(p *process) { p.innerPID = pid } }
func configTest(p *process)                { p.onlyTest = true }
func master(p *process)                    { p.isMaster = true }
func young(p *process)                     { p.start = at - 50*time.Millisecond }

// picture is one process list, and what must be concluded from it: "ok" or "down", and what the operator reads.
type picture struct {
	after     time.Duration // since the first one
	filePID   int           // what the pidfile says
	processes []process
	want      string
	soon      bool // the next look is soon although want does not tell so
}

// film is what a tracker is shown, picture by picture.
type film struct {
	name     string
	pictures []picture
}

func show(t *testing.T, usePIDFile bool, films []film) {
	t.Helper()
	for _, f := range films {
		t.Run(f.name, func(t *testing.T) {
			tr := tracker{name: "haproxy", usePIDFile: usePIDFile}
			for i, p := range f.pictures {
				v := tr.judge(snapshot{now: at + p.after, processes: p.processes, filePID: p.filePID})
				got := "down: " + v.detail
				if v.running {
					got = "ok: " + v.detail
				}
				if got != p.want {
					t.Fatalf("picture %d: %s\n     want %s", i+1, got, p.want)
				}
				waiting := p.soon || strings.HasPrefix(got, "down") || strings.HasSuffix(got, "is being replaced") || strings.HasSuffix(got, "master process 10")
				if v.unsettled != waiting {
					t.Errorf("picture %d: unsettled = %v, want %v", i+1, v.unsettled, waiting)
				}
			}
		})
	}
}

func TestTrackerFollowsAMaster(t *testing.T) {
	show(t, false, []film{
		{name: "a master with its worker starts and is killed, worker and all", pictures: []picture{
			{want: "down: no haproxy process found"},
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{want: "down: haproxy master process 10 exited"},
		}},
		{name: "a master that has no worker yet is about to fork one", pictures: []picture{
			{processes: []process{proc(10, 1, master)}, want: "ok: haproxy master process 10"},
			{processes: []process{proc(10, 1, master), worker(11, 10, young)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1, master)}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
		}},
		{name: "a young process may be a master all the same: its command line is empty while it starts", pictures: []picture{
			{processes: []process{proc(10, 1, young)}, want: "ok: haproxy process 10", soon: true},
			{after: time.Second, processes: []process{proc(10, 1, young)}, want: "ok: haproxy process 10"},
		}},
		{name: "a master whose command line is empty for a moment, as it executes itself anew", pictures: []picture{
			{processes: []process{proc(10, 1, master)}, want: "ok: haproxy master process 10"},
			{processes: []process{proc(10, 1), worker(11, 10, young)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1)}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
		}},
		{name: "a master that is known as such only after its worker has exited", pictures: []picture{
			{processes: []process{proc(10, 1, young), worker(11, 10, young)}, want: "ok: haproxy process 10, worker 11"},
			{processes: []process{proc(10, 1, young, master)}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
		}},
		{name: "a worker that outlives its master is no takeover", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{orphan(11, 10)}, want: "down: haproxy master process 10 exited"},
			{processes: []process{orphan(11, 10)}, want: "down: haproxy master process 10 exited"},
			{processes: []process{orphan(11, 10), proc(20, 1), worker(21, 20)}, want: "ok: haproxy master process 20, worker 21"},
		}},
		{name: "the worker crashes and the master stays", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1)}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
			{processes: []process{proc(10, 1)}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
		}},
		{name: "a single process may fork for a moment without becoming a master", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10, young)}, want: "ok: haproxy process 10, worker 11"},
			{processes: []process{proc(10, 1)}, want: "ok: haproxy process 10"},
		}},
	})
}

func TestTrackerDuringReload(t *testing.T) {
	show(t, false, []film{
		{name: "another worker appears, the old one drains and leaves (I5)", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1), worker(11, 10), worker(12, 10, replacing(11))}, want: "ok: haproxy master process 10, worker 11, worker 12"},
			{processes: []process{proc(10, 1), worker(12, 10, replacing(11))}, want: "ok: haproxy master process 10, worker 12"},
		}},
		{name: "the old worker leaves before the new one exists (I5)", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1, replacing(11))}, want: "ok: haproxy master process 10, worker 11 is being replaced"},
			{after: time.Second / 2, processes: []process{proc(10, 1, replacing(11))}, want: "ok: haproxy master process 10, worker 11 is being replaced"},
			{after: time.Second / 2, processes: []process{proc(10, 1), worker(12, 10)}, want: "ok: haproxy master process 10, worker 12"},
		}},
		{name: "no new worker ever comes", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1, replacing(11))}, want: "ok: haproxy master process 10, worker 11 is being replaced"},
			{after: reloadGrace, processes: []process{proc(10, 1, replacing(11))}, want: "down: haproxy worker process 11 exited and master process 10 has no other"},
			{after: 2 * reloadGrace, processes: []process{proc(10, 1), worker(12, 10)}, want: "ok: haproxy master process 10, worker 12"},
		}},
	})
}

func TestTrackerDuringTakeover(t *testing.T) {
	show(t, false, []film{
		{name: "haproxy -sf: the new process takes over, the old one drains and leaves (I5)", pictures: []picture{
			{processes: []process{proc(10, 1)}, want: "ok: haproxy process 10"},
			{processes: []process{proc(10, 1), proc(20, 1, young, replacing(10))}, want: "ok: haproxy process 10"},
			{processes: []process{proc(20, 1, replacing(10))}, want: "ok: haproxy process 20"},
			{want: "down: haproxy process 20 exited"},
		}},
		{name: "haproxy -D -sf: the new process forks the daemon and exits (I5)", pictures: []picture{
			{processes: []process{proc(10, 1)}, want: "ok: haproxy process 10"},
			{processes: []process{orphan(20, 5, young, replacing(10))}, want: "ok: haproxy process 20", soon: true},
			{processes: []process{orphan(20, 5, young), worker(21, 20, young)}, want: "ok: haproxy process 20, worker 21"},
			{processes: []process{orphan(21, 20, young)}, want: "ok: haproxy process 21", soon: true},
		}},
		{name: "a daemon whose parent left late is told from a worker by its group", pictures: []picture{
			{processes: []process{proc(20, 1), worker(21, 20)}, want: "ok: haproxy master process 20, worker 21"},
			{processes: []process{proc(21, 1)}, want: "ok: haproxy process 21"},
		}},
		{name: "haproxy -c is no takeover", pictures: []picture{
			{processes: []process{proc(10, 1), proc(20, 1, configTest)}, want: "ok: haproxy process 10"},
			{processes: []process{proc(20, 1, configTest)}, want: "down: haproxy process 10 exited"},
		}},
		{name: "the number is used again by another process", pictures: []picture{
			{processes: []process{proc(10, 1), worker(11, 10)}, want: "ok: haproxy master process 10, worker 11"},
			{processes: []process{proc(10, 1, young)}, want: "ok: haproxy process 10", soon: true},
			{processes: []process{proc(10, 1, configTest)}, want: "down: haproxy process 10 exited"},
		}},
	})
}

func TestTrackerWithPIDFile(t *testing.T) {
	show(t, true, []film{
		{name: "its HAProxy and no other", pictures: []picture{
			{processes: []process{proc(30, 1)}, want: "down: no haproxy process found: its pidfile names none"},
			{filePID: 10, processes: []process{proc(30, 1)}, want: "down: no haproxy process found: there is none with the number in its pidfile, 10"},
			{filePID: 10, processes: []process{proc(30, 1), proc(10, 1)}, want: "ok: haproxy process 10"},
			{processes: []process{proc(30, 1), proc(10, 1)}, want: "ok: haproxy process 10"},
			{filePID: 10, processes: []process{proc(30, 1)}, want: "down: haproxy process 10 exited"},
		}},
		{name: "written with the number of another PID namespace", pictures: []picture{
			{filePID: 1, processes: []process{proc(10, 1, inner(1)), worker(11, 10, inner(7))}, want: "ok: haproxy master process 10, worker 11"},
		}},
		{name: "with the same number as the main process of another PID namespace", pictures: []picture{
			{filePID: 1, processes: []process{proc(20, 1, inner(1))}, want: "ok: haproxy process 20"},
			{filePID: 1, processes: []process{proc(10, 1, inner(1)), proc(20, 1, inner(1))}, want: "ok: haproxy process 20"},
		}},
		{name: "haproxy -sf takes over before it writes the file (I5)", pictures: []picture{
			{filePID: 10, processes: []process{proc(10, 1), proc(30, 1)}, want: "ok: haproxy process 10"},
			{processes: []process{proc(30, 1), proc(20, 5, young, replacing(10))}, want: "ok: haproxy process 20", soon: true},
			{filePID: 21, processes: []process{proc(30, 1), proc(21, 1, young, replacing(10))}, want: "ok: haproxy process 21", soon: true},
		}},
		{name: "names the new process while the old one drains", pictures: []picture{
			{filePID: 10, processes: []process{proc(10, 1)}, want: "ok: haproxy process 10"},
			{filePID: 20, processes: []process{proc(10, 1), proc(20, 1, replacing(10))}, want: "ok: haproxy process 20"},
			{filePID: 20, processes: []process{proc(10, 1)}, want: "down: haproxy process 20 exited"},
		}},
	})
}
