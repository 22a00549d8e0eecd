package conformance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/hacluster/hacluster/eip"
)

// client is one node's eip.Client, which notes the classes of its outcomes.
type client struct {
	w   *world
	eip *eip.Client
}

// client returns the eip.Client of a node.
func (w *world) client(n node, change ...func(*eip.Config)) client {
	cfg := eip.Config{
		Region: region, Endpoint: w.url, AllocationID: eip.AllocationID(*w.first.allocation),
		Target:      eip.Target{ENI: eip.ENI(*n.eni), PrivateIP: ip(n.primary)},
		Credentials: credentials.NewStaticCredentialsProvider(keyID, keySecret, ""),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := eip.New(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return client{w: w, eip: c}
}

func (c client) associate(allow bool) {
	id, err := c.eip.Associate(c.w.t.Context(), allow, nil)
	if err != nil {
		c.w.saw(eip.Classify(err).String())
		return
	}
	c.w.saw("done " + c.w.name(string(id)))
}

func (c client) disassociate(name string) {
	err := c.eip.Disassociate(c.w.t.Context(), eip.AssociationID(*c.w.id(name)), nil)
	c.w.saw(eip.Classify(err).String())
}

func (c client) observe() {
	a, err := c.eip.Observe(c.w.t.Context())
	switch {
	case err != nil:
		c.w.saw(eip.Classify(err).String())
	case a.Free():
		c.w.saw("free")
	default:
		eni, private := string(a.ENI), a.PrivateIP.String()
		if c.w.nameOf(&eni) != c.w.nameOf(&private) {
			private += " of " + eni
		}
		c.w.saw("at " + c.w.nameOf(&private) + " " + c.w.name(string(a.AssociationID)))
	}
}

func (c client) preflight() {
	c.w.saw("preflight " + eip.Classify(c.eip.Preflight(c.w.t.Context())).String())
}

// clientRows are the calls of the claim (docs/DESIGN.md, "The claim") and the classes of errors.
func clientRows() []row { return append(claimRows(), classRows()...) }

func claimRows() []row {
	return []row{
		{
			name: "a takeover by compare-and-set", aws: saysAutomatic(),
			do: func(w *world) {
				a, b := w.client(w.a), w.client(w.b)
				a.associate(false)
				b.observe()
				b.disassociate("#1")
				b.associate(false)
				b.observe()
			},
			want: "done #1, at a #1, done, done #2, at b #2",
		},
		{
			name: "late calls of a deposed holder, fenced (I2)", aws: saysAutomatic(),
			do: func(w *world) {
				a, b := w.client(w.a), w.client(w.b)
				a.associate(false)
				b.disassociate("#1")
				b.associate(false)
				a.disassociate("#1")
				a.associate(false)
				b.observe()
			},
			want: "done #1, done, done #2, done, conflict, at b #2",
		},
		{
			name: "a handover by one atomic call", aws: saysAutomatic(),
			do: func(w *world) {
				w.client(w.a).associate(false)
				w.client(w.b).associate(true)
				w.client(w.a).observe()
			},
			want: "done #1, done #2, at b #2",
		},
		{
			name: "the same call twice", aws: saysIdempotent(),
			do: func(w *world) {
				a := w.client(w.a)
				a.associate(false)
				a.associate(false)
				a.observe()
			},
			want: "done #1, done #1, at a #1",
			moto: "done #1, done #2, at a #2",
		},
		{
			name: "an end twice", aws: source{"This is an idempotent operation.", pageDisassociate},
			do: func(w *world) {
				a := w.client(w.a)
				a.observe()
				a.associate(false)
				a.disassociate("#1")
				a.disassociate("#1")
				a.observe()
			},
			want: "free, done #1, done, done, free",
		},
	}
}

func classRows() []row {
	return []row{
		{
			name: "preflight", aws: saysDryRun(),
			do: func(w *world) {
				a := w.client(w.a)
				a.preflight()
				a.associate(false)
				a.preflight()
				w.client(w.b).preflight()
				a.observe()
			},
			want: "preflight done, done #1, preflight done, preflight done, at a #1",
		},
		{
			name: "an unknown allocation id is gone",
			aws:  saysCode("InvalidAllocationID.NotFound", "The specified allocation ID does not exist."),
			do: func(w *world) {
				c := w.client(w.a, func(cfg *eip.Config) { cfg.AllocationID = noAllocation })
				c.observe()
				c.associate(true)
				c.preflight()
			},
			want: "gone, gone, preflight gone",
		},
		{
			name: "an unknown interface is gone",
			aws:  saysCode("InvalidNetworkInterfaceID.NotFound", "The specified network interface does not exist."),
			do: func(w *world) {
				c := w.client(w.a, func(cfg *eip.Config) { cfg.Target.ENI = noENI })
				c.associate(true)
				c.preflight()
			},
			want: "gone, preflight gone",
		},
		{
			name: "an interface id that is none is denied",
			aws:  saysCode("InvalidNetworkInterfaceId.Malformed", "The specified network interface ID is malformed."),
			do:   func(w *world) { w.client(w.a, func(cfg *eip.Config) { cfg.Target.ENI = "eth0" }).associate(true) },
			want: "denied",
			moto: "gone",
		},
		{
			name: "a private address of another is denied", aws: saysValue(),
			do: func(w *world) {
				w.client(w.a, func(cfg *eip.Config) { cfg.Target.PrivateIP = ip(w.b.primary) }).associate(true)
			},
			want: "denied",
			moto: "done #1",
		},
		{
			name: "a wrong secret key is denied", aws: saysCode("AuthFailure", "The provided credentials could not be validated."),
			do: func(w *world) {
				c := w.client(w.a, func(cfg *eip.Config) {
					cfg.Credentials = aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(keyID, "another secret", ""))
				})
				c.associate(true)
			},
			want: "denied",
			moto: "done #1",
		},
	}
}
