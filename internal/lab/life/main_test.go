package life

import (
	"testing"

	"github.com/hacluster/hacluster/internal/lab"
	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, lab.Roles()) }
