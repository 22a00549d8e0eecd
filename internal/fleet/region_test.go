package fleet

import (
	"net/netip"
	"testing"

	"github.com/hacluster/hacluster/eip"
)

// TestAssociations plays EC2's rules for one address; each line goes on from the one before.
func TestAssociations(t *testing.T) {
	a := eip.Target{ENI: "eni-a", PrivateIP: netip.MustParseAddr("10.0.0.1")}
	b := eip.Target{ENI: "eni-b", PrivateIP: netip.MustParseAddr("10.0.0.2")}
	r, address := newRegion(DocumentedLimits()), eip.Address{}
	steps := []struct {
		name  string
		do    func() (eip.AssociationID, error)
		id    eip.AssociationID
		class eip.Class
		holds eip.AssociationID
	}{
		{"free, fenced", func() (eip.AssociationID, error) { return r.associate(&address, a, false) }, "eipassoc-1", eip.Done, "eipassoc-1"},
		{"repeated: the same id", func() (eip.AssociationID, error) { return r.associate(&address, a, false) }, "eipassoc-1", eip.Done, "eipassoc-1"},
		{"held by another, fenced", func() (eip.AssociationID, error) { return r.associate(&address, b, false) }, "", eip.Conflict, "eipassoc-1"},
		{"held by another, atomic", func() (eip.AssociationID, error) { return r.associate(&address, b, true) }, "eipassoc-2", eip.Done, "eipassoc-2"},
		{"disassociate an id of the past", func() (eip.AssociationID, error) { disassociateAddress(&address, "eipassoc-1"); return "", nil }, "", eip.Done, "eipassoc-2"},
		{"disassociate", func() (eip.AssociationID, error) { disassociateAddress(&address, "eipassoc-2"); return "", nil }, "", eip.Done, ""},
	}
	for _, s := range steps {
		id, err := s.do()
		if id != s.id || eip.Classify(err) != s.class || address.AssociationID != s.holds {
			t.Errorf("%s: id %q, class %v, then held under %q; want %q, %v, %q",
				s.name, id, eip.Classify(err), address.AssociationID, s.id, s.class, s.holds)
		}
	}
}
