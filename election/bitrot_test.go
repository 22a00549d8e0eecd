package election

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

const (
	agedLast    = 280 // last index of agedStore
	agedCovered = 50  // by its snapshot; the log still begins at 21
)

// agedStore is the data dir of a node that has voted, and has written, cut, and compacted its log.
func agedStore(t *testing.T) Config {
	t.Helper()
	cfg := newCluster(t, 1).config("node-a")
	own, _ := closedNode(t, cfg)
	must(t, writeMarker(cfg, own))
	edit(t, cfg, func(s *store) {
		for i := range uint64(agedLast + 20) {
			command := fmt.Appendf(nil, `{"kind":"claim","body":{"term":%d,"node":"node-a","allocation_id":"eipalloc-1"}}`, i)
			must(t, s.bolt.StoreLog(&raft.Log{Index: i + 1, Term: 3, Data: command}))
		}
		must(t, s.bolt.DeleteRange(agedLast+1, agedLast+20))
		takeSnapshot(t, s, agedCovered)
		must(t, s.bolt.DeleteRange(1, 20))
		must(t, s.bolt.SetUint64([]byte(currentTermKey), 7))
		must(t, s.bolt.SetUint64([]byte("LastVoteTerm"), 7))
		must(t, s.bolt.Set([]byte("LastVoteCand"), []byte("node-b")))
	})
	return cfg
}

// takeSnapshot leaves a snapshot as Raft does, whose state is a few KiB.
func takeSnapshot(t *testing.T, s *store, index uint64) {
	t.Helper()
	members := raft.Configuration{Servers: []raft.Server{{ID: "node-a.00ff", Address: "127.0.0.1:7946"}}}
	_, transport := raft.NewInmemTransport("node-a")
	sink, err := s.snapshots.Create(1, index, 3, members, 1, transport)
	must(t, err)
	_, err = sink.Write(make([]byte, 5000))
	must(t, err)
	must(t, sink.Close())
}

// contents is everything that a store tells Raft, in lines. What the snapshot covers is left out: Raft has applied it, and sends the
// snapshot instead where an entry is missing.
func contents(t *testing.T, s *store) []string {
	t.Helper()
	var told []string
	for _, key := range []string{identityKey, currentTermKey, "LastVoteTerm", "LastVoteCand"} {
		value, known, err := s.get(key)
		told = append(told, fmt.Sprintf("%s = %x, %v, %v", key, value, known, err))
	}
	first, err := s.bolt.FirstIndex()
	must(t, err)
	last, err := s.bolt.LastIndex()
	must(t, err)
	told = append(told, fmt.Sprintf("log from %d to %d", first, last))
	for index := uint64(agedCovered + 1); index <= last; index++ {
		var entry raft.Log
		err := s.bolt.GetLog(index, &entry)
		told = append(told, fmt.Sprintf("%d %d %d %q %q, %v", entry.Index, entry.Term, entry.Type, entry.Data, entry.Extensions, err))
	}
	list, err := s.snapshots.List()
	must(t, err)
	for _, snapshot := range list {
		told = append(told, fmt.Sprintf("%+v", *snapshot))
	}
	return told
}

func firstDifference(got, want []string) string {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Sprintf("got  %s\nwant %s", append(got, "nothing")[min(i, len(got))], want[i])
		}
	}
	return "more than was written"
}

// sweep puts each of the damaged versions in the place of a file. The node opens with what was written, or refuses with the remedy.
func sweep(t *testing.T, cfg Config, path string, versions int, damage func(data []byte)) {
	t.Helper()
	var want []string
	edit(t, cfg, func(s *store) { want = contents(t, s) })
	whole, err := os.ReadFile(path)
	must(t, err)
	refused := 0
	for version := range versions {
		data := slices.Clone(whole)
		damage(data)
		remove(t, path) // a panic inside bbolt.Open leaves the old one locked
		must(t, os.WriteFile(path, data, 0o600))
		s, err := openStore(cfg.DataDir, raftLogger(cfg.withDefaults().Logger))
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), "is damaged: move the directory") {
				t.Fatalf("version %d: refused without the remedy: %v", version, err)
			}
			continue
		}
		if got := contents(t, s); !slices.Equal(got, want) {
			t.Fatalf("version %d opened with other contents:\n%s", version, firstDifference(got, want))
		}
		must(t, s.close())
	}
	t.Logf("%d versions of %d bytes: %d refused, %d opened", versions, len(whole), refused, versions-refused)
	if refused == 0 {
		t.Error("none was refused: the sweep has hit nothing")
	}
}

// flipper returns a damage that flips one bit of what at picks.
func flipper(seed uint64, at func(random *rand.Rand, size int) int) func(data []byte) {
	random := rand.New(rand.NewPCG(seed, seed))
	return func(data []byte) { data[at(random, len(data))] ^= 1 << random.IntN(8) }
}

func anywhere(random *rand.Rand, size int) int { return random.IntN(size) }

// inStructure is in the header of a page or its first elements: 3 % of the file, and what bbolt finds its way by.
func inStructure(random *rand.Rand, size int) int {
	page := random.IntN(size / os.Getpagesize())
	return page*os.Getpagesize() + random.IntN(128)
}

// A flipped bit: either nothing that matters was hit, or the node refuses. It never runs on a log, a vote, a term or an identity
// that it has not written (I7, I8).
func TestAFlippedBitChangesNothingSilently(t *testing.T) {
	t.Parallel()
	inStore := func(_ *testing.T, cfg Config) string { return dbPath(cfg) }
	inSnapshot := func(file string) func(t *testing.T, cfg Config) string {
		return func(t *testing.T, cfg Config) string { return filepath.Join(onlySnapshot(t, cfg), file) }
	}
	tests := map[string]struct {
		file  func(t *testing.T, cfg Config) string
		flips int
		at    func(random *rand.Rand, size int) int
	}{
		"anywhere in the store":         {inStore, 150, anywhere},
		"in the structure of the store": {inStore, 150, inStructure},
		"in the snapshot's meta data":   {inSnapshot(snapshotMeta), 50, anywhere},
		"in the snapshot's state":       {inSnapshot("state.bin"), 20, anywhere},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := agedStore(t)
			sweep(t, cfg, test.file(t, cfg), test.flips, flipper(1, test.at))
		})
	}
}

// What bbolt itself opens without a word, one by one: a sweep meets some of it once in ten thousand flips.
func TestDamageThatBboltDoesNotSeeIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		damage func(b image)
		words  string
	}{
		"another command": {func(b image) { leaf := b.lastLeaf(); leaf[len(leaf)-10] ^= 1 }, "wrong checksum"},
		"two entries, each in the place of the other": {
			func(b image) {
				leaf := b.lastLeaf()
				size := len(leaf) - bytes.LastIndex(leaf, []byte(`{"Index"`))
				last, before := leaf[len(leaf)-size:], leaf[len(leaf)-2*size-8:][:size] // keys of 8 bytes go before their values
				kept := bytes.Clone(last)
				copy(last, before)
				copy(before, kept)
			}, "wrong checksum",
		},
		"a key in the memory behind the file, which is read, and compared with the key that is looked for": {
			func(b image) { b.firstElement()[7] ^= 1 }, "out of range",
		},
		"a key out of order, so that others are not found": {
			func(b image) { element := b.firstElement(); element[half(element, 4)] ^= 1 }, "comes after",
		},
		"a page that forgets its last entry, so that the log is shorter": {
			func(b image) { b.recount(b.lastLeaf(), -1) }, "the log goes from 21 to 279, but should go from 21 to 280",
		},
		"the newer meta page, so that the last transaction is undone": {
			func(b image) { b.newestMeta()[20] ^= 1 }, "has a wrong checksum",
		},
		"a page in use that is called free, and would be overwritten": {
			func(b image) { copy(b.freelist()[pageHeader:], b.lastLeaf()[:8]) }, "is in use and free",
		},
		"a free page that is forgotten": {func(b image) { b.recount(b.freelist(), -1) }, "belongs to nothing"},
		"a bucket of another name, so that the log is empty": {
			func(b image) { root := b.page(number(b.newestMeta(), 16)); root[bytes.Index(root, []byte("log"))] ^= 1 },
			`it holds ["header" "mog"] instead of a raft log`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := agedStore(t)
			data, err := os.ReadFile(dbPath(cfg))
			must(t, err)
			test.damage(image(data))
			must(t, os.WriteFile(dbPath(cfg), data, 0o600))
			_, err = Open(cfg, &ledger{})
			expectSentence(t, err, "is damaged", "move the directory", "comes back as a new member", test.words)
		})
	}
}

// image is a bbolt file.
type image []byte

func (b image) page(id uint64) []byte {
	return b[int(id)*os.Getpagesize():][:os.Getpagesize()]
}

func (b image) newestMeta() []byte {
	const transaction = 48
	first, second := b.page(0)[pageHeader:], b.page(1)[pageHeader:]
	if number(first, transaction) > number(second, transaction) {
		return first
	}
	return second
}

func (b image) freelist() []byte { return b.page(number(b.newestMeta(), 32)) }

func (b image) recount(page []byte, by int) {
	count := binary.NativeEndian.Uint16(page[10:])
	binary.NativeEndian.PutUint16(page[10:], uint16(int(count)+by))
}

// firstElement is the first of the last leaf.
func (b image) firstElement() []byte { return b.lastLeaf()[pageHeader:] }

// lastLeaf is the page of the tree that ends the log, up to the end of its last value.
func (b image) lastLeaf() (leaf []byte) {
	f := &boltFile{data: b, pageSize: os.Getpagesize(), owned: make([]bool, len(b)/os.Getpagesize())}
	if _, err := f.tree(number(b.newestMeta(), 16), nil); err != nil {
		panic(err)
	}
	for id, inTree := range f.owned {
		page := b.page(uint64(id))
		count := int(binary.NativeEndian.Uint16(page[10:]))
		if !inTree || binary.NativeEndian.Uint16(page[8:]) != pageLeaf || count == 0 {
			continue
		}
		at := pageHeader + (count-1)*pageElement
		last := page[at:]
		key := last[half(last, 4):][:half(last, 8)]
		if bytes.Equal(key, logKey(agedLast)) {
			leaf = page[:at+int(half(last, 4)+half(last, 8)+half(last, 12))]
		}
	}
	return leaf
}
