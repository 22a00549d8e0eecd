package election

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

const storeLockDeadline = time.Second

// errKeyNotFound has the text by which Raft knows that a key was never written.
var errKeyNotFound = errors.New("not found")

// errUnknownWrite: a write failed in its last step. bbolt goes on with what is in the page cache, which is the new state; the disk may
// have the old one.
var errUnknownWrite = errors.New("the disk failed in the last step of a write, which may or may not have happened: " +
	"check it; the process ends and must be restarted")

// The vote is two values, of which Raft writes the term first (raft.go, persistVote).
const (
	lastVoteTermKey      = "LastVoteTerm"
	lastVoteCandidateKey = "LastVoteCand"
)

// boltStore is Raft's log store and stable store, in one bbolt file, every write fsynced.
//
// bbolt has no checksums except in its meta pages, so what is written here has its own: a flipped bit in a command, a vote or a
// term is an error and never another command. And the header, written with each transaction, says where the log begins and
// ends: a page that forgets its last elements is an error and never a shorter log.
//
//	bucket  key                   value
//	log     index, 8 bytes        raft.Log as JSON, sealed
//	header  "header"              header as JSON, sealed
//
// [raft-boltdb] does neither.
//
// [raft-boltdb]: https://github.com/hashicorp/raft-boltdb
type boltStore struct {
	db   *bbolt.DB
	path string
	// broken is set by the first write of unknown outcome and refuses all later ones. It is guarded by bbolt's lock for writers.
	broken error
}

// header is all that is not the log. It is one value, so that no part of it can be lost alone.
type header struct {
	// Values are those of the stable store.
	Values map[string][]byte `json:"values"`
	// First and Last are the indexes of the log's ends, 0 when it is empty.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Snapshot is the one that Raft was told of last.
	Snapshot noted `json:"snapshot"`
}

const (
	logBucket    = "log"
	headerBucket = "header" // of one key with the same name
)

func openBoltStore(path string) (*boltStore, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: storeLockDeadline})
	if err != nil {
		return nil, err
	}
	b := &boltStore{db: db, path: path}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// prepare checks the file and makes the buckets of a new one. The file is locked, so nobody writes meanwhile.
func (b *boltStore) prepare() error {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	if err := checkBoltFile(data, b.db.Info().PageSize); err != nil {
		return err
	}
	var buckets []string
	err = b.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			buckets = append(buckets, string(name))
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case len(buckets) == 0:
		return b.create()
	case len(buckets) != 2 || buckets[0] != headerBucket || buckets[1] != logBucket:
		return fmt.Errorf("it holds %q instead of a raft log", buckets)
	}
	return nil
}

func (b *boltStore) create() error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket([]byte(logBucket)); err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte(headerBucket)); err != nil {
			return err
		}
		return writeHeader(tx, header{})
	})
}

// Close closes the file.
func (b *boltStore) Close() error { return b.db.Close() }

// FirstIndex implements raft.LogStore.
func (b *boltStore) FirstIndex() (uint64, error) {
	h, err := b.header()
	return h.First, err
}

// LastIndex implements raft.LogStore.
func (b *boltStore) LastIndex() (uint64, error) {
	h, err := b.header()
	return h.Last, err
}

// GetLog implements raft.LogStore. It knows index and term of the last entry that the newest snapshot includes, where the log begins
// behind it: hashicorp/raft asks for that one when a leader replaces what follows, and without an answer refuses the leader for ever.
func (b *boltStore) GetLog(index uint64, entry *raft.Log) error {
	return recoverDamage(b.path, func() error {
		err := b.db.View(func(tx *bbolt.Tx) error { return findEntry(tx, index, entry) })
		if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
			return damaged(b.path, fmt.Errorf("read log entry %d: %w", index, err))
		}
		return err
	})
}

func findEntry(tx *bbolt.Tx, index uint64, entry *raft.Log) error {
	err := readEntry(tx.Bucket([]byte(logBucket)), index, entry)
	if !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	h, headerErr := readHeader(tx)
	switch {
	case headerErr != nil:
		return headerErr
	case index > 1 && index == h.Snapshot.Index:
		// It is never sent on: a leader that is to send it looks for the entry before it first, and finds none.
		*entry = raft.Log{Index: index, Term: h.Snapshot.Term, Type: raft.LogNoop}
		return nil
	default:
		return err
	}
}

func readEntry(log *bbolt.Bucket, index uint64, entry *raft.Log) error {
	key := logKey(index)
	value := log.Get(key)
	if value == nil {
		return raft.ErrLogNotFound
	}
	return unseal(key, value, entry)
}

// StoreLog implements raft.LogStore.
func (b *boltStore) StoreLog(entry *raft.Log) error { return b.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (b *boltStore) StoreLogs(entries []*raft.Log) error {
	return b.update(func(log *bbolt.Bucket, h *header) error {
		for _, entry := range entries {
			key := logKey(entry.Index)
			value, err := seal(key, entry)
			if err != nil {
				return fmt.Errorf("encode log entry %d: %w", entry.Index, err)
			}
			if err := log.Put(key, value); err != nil {
				return err
			}
			if h.First == 0 {
				h.First = entry.Index
			}
			h.First, h.Last = min(h.First, entry.Index), max(h.Last, entry.Index)
		}
		return nil
	})
}

// DeleteRange implements raft.LogStore.
func (b *boltStore) DeleteRange(first, last uint64) error {
	return b.update(func(log *bbolt.Bucket, h *header) error {
		// All reads come first: a bbolt cursor may go round in circles among pages that the same transaction has emptied.
		cursor := log.Cursor()
		var keys [][]byte
		after, _ := cursor.Seek(logKey(first))
		for ; after != nil && bytes.Compare(after, logKey(last)) <= 0; after, _ = cursor.Next() {
			keys = append(keys, bytes.Clone(after))
		}
		if len(keys) == 0 {
			return nil
		}
		cursor.Seek(keys[0])
		before, _ := cursor.Prev()
		switch {
		case before == nil && after == nil:
			h.First, h.Last = 0, 0
		case before == nil:
			h.First = logIndex(after)
		case after == nil:
			h.Last = logIndex(before)
		}
		for _, key := range keys {
			if err := log.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Set implements raft.StableStore.
func (b *boltStore) Set(key, value []byte) error {
	return b.update(func(_ *bbolt.Bucket, h *header) error {
		if h.Values == nil {
			h.Values = make(map[string][]byte)
		}
		if string(key) == lastVoteTermKey && !bytes.Equal(h.Values[lastVoteTermKey], value) {
			// After a crash between the two, the new term with the old candidate would be a vote that nobody has cast, and Raft
			// repeats a vote without a look at the log.
			delete(h.Values, lastVoteCandidateKey)
		}
		h.Values[string(key)] = value
		return nil
	})
}

// Get implements raft.StableStore.
func (b *boltStore) Get(key []byte) ([]byte, error) {
	h, err := b.header()
	if err != nil {
		return nil, err
	}
	value, known := h.Values[string(key)]
	if !known {
		return nil, errKeyNotFound
	}
	return value, nil
}

// SetUint64 implements raft.StableStore.
func (b *boltStore) SetUint64(key []byte, value uint64) error {
	return b.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore.
func (b *boltStore) GetUint64(key []byte) (uint64, error) {
	value, err := b.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("value of %s has %d bytes, want 8", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// note remembers the snapshot that Raft is about to be told of. One that is older than the noted one is refused: Raft may take one of
// its own while it is sent a newer one, and finish later.
//
// A log that does not lead to the snapshot holds what another leader has overwritten. It goes in the same transaction, as Raft's paper
// wants it (figure 13, steps 6 and 7) and hashicorp/raft does not do: there the node refuses the entries behind the snapshot for ever,
// or, worse, sends the old ones on as a later leader. outdated says that what has gone reached to the snapshot or beyond, so that Raft
// has a wrong end of the log in memory.
func (b *boltStore) note(snapshot noted) (outdated bool, err error) {
	err = b.update(func(log *bbolt.Bucket, h *header) error {
		if snapshot.Index < h.Snapshot.Index {
			return fmt.Errorf("%w (%s)", errOlderSnapshot, h.Snapshot.ID)
		}
		leads, err := h.leadsTo(log, snapshot)
		if err != nil {
			return err
		}
		h.Snapshot = snapshot
		if leads {
			return nil
		}
		outdated = h.Last >= snapshot.Index
		h.First, h.Last = 0, 0
		return empty(log)
	})
	return outdated && err == nil, err
}

// begin makes the snapshot all that the store has, and own whose it is, in one transaction: it ends one life of the store and begins
// another.
func (b *boltStore) begin(snapshot noted, own identity) error {
	data, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	return b.update(func(log *bbolt.Bucket, h *header) error {
		h.Snapshot, h.First, h.Last = snapshot, 0, 0
		h.Values[identityKey] = data
		return empty(log)
	})
}

// leadsTo reports whether the log, if there is any, goes through the last entry of the snapshot or begins behind it.
func (h *header) leadsTo(log *bbolt.Bucket, snapshot noted) (bool, error) {
	if h.Last == 0 || h.Snapshot.Index == snapshot.Index && h.Snapshot.Term == snapshot.Term {
		return true, nil
	}
	var last raft.Log
	err := readEntry(log, snapshot.Index, &last)
	if errors.Is(err, raft.ErrLogNotFound) {
		return false, nil
	}
	return last.Term == snapshot.Term, err
}

// empty deletes every key.
func empty(bucket *bbolt.Bucket) error {
	var keys [][]byte
	cursor := bucket.Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	for _, key := range keys {
		if err := bucket.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

func (b *boltStore) header() (h header, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		h, err = readHeader(tx)
		return err
	})
	return h, err
}

// update changes log and header in one transaction. Where the disk fails behind its meta page, bbolt reports an error and goes on with
// the transaction in force; Raft, told that an entry is not there, would write others behind it. So nothing is written after that.
func (b *boltStore) update(change func(log *bbolt.Bucket, h *header) error) error {
	var own int
	err := b.db.Update(func(tx *bbolt.Tx) error {
		if b.broken != nil {
			return b.broken
		}
		own = tx.ID()
		h, err := readHeader(tx)
		if err != nil {
			return err
		}
		if err := change(tx.Bucket([]byte(logBucket)), &h); err != nil {
			return err
		}
		return writeHeader(tx, h)
	})
	if err == nil || own == 0 || b.certainlyUndone(own) {
		return err
	}
	err = fmt.Errorf("%w: %w", errUnknownWrite, err)
	_ = b.db.Update(func(*bbolt.Tx) error {
		b.broken = err
		return err // so that nothing is written
	})
	return err
}

// certainlyUndone reports whether a failed transaction is not in force.
func (b *boltStore) certainlyUndone(id int) bool {
	inForce := id
	err := b.db.View(func(tx *bbolt.Tx) error {
		inForce = tx.ID()
		return nil
	})
	return err == nil && inForce < id
}

// verify reads the whole log, which has no holes and begins at the latest behind what the newest snapshot covers.
func (b *boltStore) verify(covered uint64) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		h, err := readHeader(tx)
		if err != nil {
			return err
		}
		log := tx.Bucket([]byte(logBucket))
		first, last := ends(log)
		if first != h.First || last != h.Last {
			return fmt.Errorf("the log goes from %d to %d, but should go from %d to %d", first, last, h.First, h.Last)
		}
		if first > covered+1 {
			return fmt.Errorf("the log begins at %d, but the newest snapshot ends at %d", first, covered)
		}
		for index := max(first, 1); index <= last; index++ {
			if err := readEntry(log, index, new(raft.Log)); err != nil {
				return fmt.Errorf("read log entry %d of %d to %d: %w", index, first, last, err)
			}
		}
		return nil
	})
}

// ends are the first and the last index in the bucket, 0 when it is empty.
func ends(log *bbolt.Bucket) (first, last uint64) {
	cursor := log.Cursor()
	if key, _ := cursor.First(); key != nil {
		first = logIndex(key)
	}
	if key, _ := cursor.Last(); key != nil {
		last = logIndex(key)
	}
	return first, last
}

func readHeader(tx *bbolt.Tx) (h header, err error) {
	key := []byte(headerBucket)
	if err := unseal(key, tx.Bucket(key).Get(key), &h); err != nil {
		return header{}, fmt.Errorf("read header: %w", err)
	}
	return h, nil
}

func writeHeader(tx *bbolt.Tx, h header) error {
	key := []byte(headerBucket)
	value, err := seal(key, h)
	if err != nil {
		return fmt.Errorf("encode header: %w", err)
	}
	return tx.Bucket(key).Put(key, value)
}

func logKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

func logIndex(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

// seal encodes a value for its key: JSON, then the CRC-32C of key and JSON.
func seal(key []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(text, checksum(key, text)), nil
}

// unseal decodes what seal encoded for the same key.
func unseal(key, sealed []byte, into any) error {
	const size = crc32.Size
	if len(sealed) < size {
		return fmt.Errorf("%d bytes are too few", len(sealed))
	}
	text, sum := sealed[:len(sealed)-size], sealed[len(sealed)-size:]
	if binary.BigEndian.Uint32(sum) != checksum(key, text) {
		return errors.New("wrong checksum")
	}
	return json.Unmarshal(text, into)
}

func checksum(parts ...[]byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	var sum uint32
	for _, part := range parts {
		sum = crc32.Update(sum, table, part)
	}
	return sum
}
