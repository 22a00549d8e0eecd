package lab

import (
	"testing"

	"github.com/hacluster/hacluster/internal/lab/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	roles := Roles()
	roles[roleForger] = forgeAdverts
	sandboxtest.Main(m, roles)
}
