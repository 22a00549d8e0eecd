// Package conformance asks implementations of the EC2 API the same questions: the emulator of this project (eip/ec2fake) and,
// where HACLUSTER_MOTO names the moto_server to start, moto. Each row says what AWS documents and what each of them does; where
// they differ the difference is asserted too, so that a change on either side is noticed. docs/EC2.md shows the rows that
// matter; `make conformance` runs all of them.
package conformance

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// row is one question and its answers.
type row struct {
	name string
	aws  source
	// do asks; what it sees is collected in the world.
	do func(*world)
	// want is what EC2 does as far as AWS documents it, and what the emulator must do.
	want string
	// moto is what moto does instead; empty: the same.
	moto string
	// assumed is why want is what it is, where AWS's pages are silent or contradict each other; empty: they are clear.
	assumed string
}

// source is AWS's word and where it stands.
type source struct{ says, page string }

const (
	apiReference     = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/"
	pageAssociate    = apiReference + "API_AssociateAddress.html"
	pageDisassociate = apiReference + "API_DisassociateAddress.html"
	pageAddresses    = apiReference + "API_DescribeAddresses.html"
	pageInstances    = apiReference + "API_DescribeInstances.html"
	pageInterfaces   = apiReference + "API_DescribeNetworkInterfaces.html"
	pageErrors       = apiReference + "errors-overview.html"
)

func TestConformance(t *testing.T) {
	t.Run("ec2fake", func(t *testing.T) {
		runAll(t, newFake, func(r row) string { return r.want })
	})
	t.Run("moto", func(t *testing.T) {
		runAll(t, startMoto(t), func(r row) string {
			if r.moto != "" {
				return r.moto
			}
			return r.want
		})
	})
}

// group is what is asked about one thing.
type group struct {
	about string
	rows  []row
}

func groups() []group {
	return []group{
		{"AssociateAddress", associateRows()},
		{"AssociateAddress with bad parameters", parameterRows()},
		{"DryRun", dryRunRows()},
		{"DisassociateAddress", disassociateRows()},
		{"Describe", describeRows()},
		{"Credentials", credentialRows()},
		{"eip.Client", clientRows()},
		{"aws command", commandRows()},
	}
}

// runAll asks all questions, each of a fresh account.
func runAll(t *testing.T, fresh func(*testing.T) account, expected func(row) string) {
	for _, g := range groups() {
		t.Run(g.about, func(t *testing.T) {
			for _, r := range g.rows {
				t.Run(r.name, func(t *testing.T) {
					w := newWorld(t, fresh(t))
					r.do(w)
					if got, want := w.transcript(), expected(r); got != want {
						t.Errorf("AWS: %s (%s)\n got: %s\nwant: %s", r.aws.says, r.aws.page, got, want)
					}
				})
			}
		})
	}
}
