package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hacluster/hacluster/health"
)

// healthyWithin is more than rise probes of any sensible schedule take.
const healthyWithin = 4 * time.Second

// examineHAProxy runs the health checks as the agent does, until they pass.
func (f *facts) examineHAProxy(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, healthyWithin)
	defer cancel()
	status, err := health.Ask(ctx, f.cfg.Health)
	if err != nil {
		return []Finding{fail(err.Error(), "correct health: in the configuration")}
	}
	var found []Finding
	for _, c := range status.Checks {
		if c.Healthy {
			found = append(found, pass("%s", c.Detail).about(c.Name))
			continue
		}
		found = append(found, fail(c.Detail, f.remedyOf(c.Name)).about(c.Name))
	}
	return found
}

// remedyOf names what helps against a health check that fails.
func (f *facts) remedyOf(name string) string {
	h := f.cfg.File.Health
	switch name {
	case "process":
		return "start HAProxy (systemctl status haproxy), or correct health.process"
	case "stats":
		if _, err := os.Stat(h.Stats.Socket); errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("there is no %s: write 'stats socket %s mode 660 level user' in HAProxy's global section, or correct health.stats.socket",
				h.Stats.Socket, h.Stats.Socket)
		}
		return "look whether HAProxy answers 'show info' there, and whether the agent's user is in the socket's group"
	case "http":
		return fmt.Sprintf("write 'monitor-uri' in HAProxy's frontend and name it in health.http.url (now %s)", h.HTTP.URL)
	case "tcp":
		return "correct health.tcp.address, or HAProxy's bind"
	default:
		return "run the script of health.script by hand, as the agent's user"
	}
}

// examineMasterWorker: without a master a reload is a new HAProxy each time, which the agent has to recognise as the successor.
func (f *facts) examineMasterWorker(context.Context) Finding {
	cfg := health.ProcessConfig{}
	if f.cfg.Health.Process != nil {
		cfg = *f.cfg.Health.Process
	}
	p, err := health.FindProcesses(cfg)
	switch {
	case err != nil:
		return skip("%v", err)
	case p.Main == 0:
		return skip("not known: %s", p.Detail)
	case !p.MasterWorker:
		return warn(fmt.Sprintf("HAProxy (pid %d) is not in master-worker mode: each reload is another process, and a failed one leaves none", p.Main),
			"start it with -Ws, as Debian's unit does, or write master-worker in its global section")
	}
	return pass("%s: a reload keeps the master", p.Detail)
}
