package convert

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hacluster/hacluster/internal/keepalived"
)

// Request says what to convert.
type Request struct {
	// Configs are the configurations, one for each node. Several Hosts make several nodes out of one file.
	Configs []string
	// Hosts are the nodes for which @host lines are read, one for each file, or all for the only file.
	Hosts []string
	// Scripts are notify scripts that are not beside the configuration that names them; the base name decides which is which.
	Scripts []string
	// Names of the nodes, in the order of Configs or Hosts; then those of peers without a file.
	Names []string
	// Instance is the vrrp_instance to convert when a file has several.
	Instance string
	// AllocationID of the Elastic IP, when the scripts only know its public address.
	AllocationID string
	// Third is the node that makes a cluster out of a pair.
	Third *Node
	// LookupEnv answers ${_ENV NAME}.
	LookupEnv func(string) (string, bool)
}

// Node is a node that no file describes.
type Node struct {
	Name    string
	Address netip.AddrPort
	Witness bool
}

// maxClusterName is in characters.
const maxClusterName = 63

// Port is hacluster's, on every node: keepalived has no such thing.
const Port = 7400

// value is something that a file says, and where.
type value[T any] struct {
	v   T
	at  keepalived.Position
	set bool
}

func said[T any](v T, at keepalived.Position) value[T] { return value[T]{v: v, at: at, set: true} }

// converter turns views into a cluster.
type converter struct {
	files   keepalived.Files
	request Request
	report  *Report
	views   []*view
	cluster cluster
}

// cluster is what is written.
type cluster struct {
	name   value[string]
	nodes  []node
	wire   wire
	ranks  ranks
	health health
	eip    address
	hooks  []hook
}

// Convert reads everything that the request names and returns the text of a hacluster.yaml, nil if something had to be
// refused. The error, a [*keepalived.Error] for a file, says what could not be read.
func Convert(files keepalived.Files, request Request) ([]byte, Report, error) {
	c := &converter{files: files, request: request, report: newReport()}
	if err := c.readViews(); err != nil {
		return nil, Report{}, err
	}
	if len(c.report.Refused) == 0 {
		c.convert()
	}
	c.report.settle()
	if c.report.Result == Refused {
		return nil, *c.report, nil
	}
	return c.write(), *c.report, nil
}

// newReport returns a report whose JSON has no null.
func newReport() *Report {
	return &Report{Open: []Step{}, Converted: []Finding{}, Changed: []Finding{}, Dropped: []Finding{}, Refused: []Finding{}}
}

func (c *converter) convert() {
	c.nameCluster()
	c.findNodes()
	c.compareWire()
	c.rank()
	c.collectChecks()
	c.readNotifies()
	c.findAddress()
	c.makeHooks()
	c.report.changed(c.views[0].start(), "unprotected adverts", "insecure: true", "the nodes talk over plain TCP as long as there are no "+
		"certificates: make them with 'hacluster tls' and write 'tls: {}' instead, now rather than later, when all agents have to stop for it, or allow the "+
		"port only inside the security group")
}

// nameCluster takes the name of the instance, in the letters that a cluster's name may have.
func (c *converter) nameCluster() {
	first := c.views[0].instance
	name := strings.TrimLeft(lettersOnly(first.name.v), "-")
	name = strings.TrimRight(name[:min(len(name), maxClusterName)], "-")
	if name == "" {
		name = "haproxy"
	}
	c.cluster.name = said(name, first.name.at)
	for _, v := range c.views {
		what := "vrrp_instance " + v.instance.name.v
		if v.instance.name.v != first.name.v {
			c.report.changed(v.instance.name.at, what, "cluster.name: "+name, fmt.Sprintf("the first file calls it %s", first.name.v))
			continue
		}
		c.report.converted(v.instance.name.at, what, "cluster.name: "+name)
	}
}

// lettersOnly makes a name of lower-case letters, digits and '-'.
func lettersOnly(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, text)
}
