package election

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

// The layout of a bbolt file, from go.etcd.io/bbolt/internal/common (page.go, meta.go, bucket.go), format version 2. Numbers are in
// the machine's byte order.
const (
	pageHeader   = 16 // id uint64, type uint16, count uint16, overflow uint32
	pageElement  = 16 // of a branch: position, key size uint32, page uint64; of a leaf: flags, position, key size, value size uint32
	bucketHeader = 16 // in the value of a bucket: root page, sequence uint64; then, without a root page, the one small page

	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10

	// A meta page after its header: magic, version, page size, flags uint32; root page, sequence, freelist page, pages in use,
	// transaction uint64; FNV-1a of all that, uint64.
	metaSum  = 56
	metaSize = 64

	elementIsBucket  = 0x01
	freelistIsLonger = 0xffff // the count is the first number of the list instead
)

// boltFile checks what bbolt takes for granted. bbolt falls back to the older meta page when the newer one is damaged, which undoes the
// last transaction, be it a vote; and it believes every page: a flipped bit in the freelist makes it overwrite a page in use, one
// in the position of a key makes it compare with whatever memory is there.
//
// A meta page is 80 bytes of one disk sector, so no crash tears it, and both must be valid. Every page in use must belong to
// exactly one of: the tree, the freelist itself, the free pages. Keys must ascend. The values are boltStore's to check.
//
// It panics where a position points out of its page; see recoverDamage.
type boltFile struct {
	data     []byte
	pageSize int
	// owned says which pages have been found to belong somewhere.
	owned []bool
}

func checkBoltFile(data []byte, pageSize int) error {
	f := &boltFile{data: data, pageSize: pageSize}
	first, err := f.meta(0)
	if err != nil {
		return err
	}
	newest, err := f.meta(1)
	if err != nil {
		return err
	}
	const transaction = 48
	if number(first, transaction) > number(newest, transaction) {
		newest = first
	}
	const root, freelist, pages = 16, 32, 40
	f.owned = make([]bool, min(number(newest, pages), uint64(len(data)/pageSize)))
	if uint64(len(f.owned)) < number(newest, pages) {
		return fmt.Errorf("the file has %d pages of %d", len(f.owned), number(newest, pages))
	}
	f.owned[0], f.owned[1] = true, true
	if _, err := f.tree(number(newest, root), nil); err != nil {
		return err
	}
	if err := f.free(number(newest, freelist)); err != nil {
		return err
	}
	for id, owned := range f.owned {
		if !owned {
			return fmt.Errorf("page %d belongs to nothing", id)
		}
	}
	return nil
}

func number(data []byte, at int) uint64 { return binary.NativeEndian.Uint64(data[at:]) }

func half(data []byte, at int) uint64 { return uint64(binary.NativeEndian.Uint32(data[at:])) }

// meta returns the valid meta page that is page id.
func (f *boltFile) meta(id int) ([]byte, error) {
	meta := f.data[id*f.pageSize+pageHeader:][:metaSize]
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSum]) // cannot fail
	if number(meta, metaSum) != sum.Sum64() {
		return nil, fmt.Errorf("meta page %d has a wrong checksum", id)
	}
	return meta, nil
}

// boltPage is a page with its overflow pages.
type boltPage struct {
	data  []byte
	kind  uint16
	count int
}

func newBoltPage(data []byte) boltPage {
	return boltPage{data: data, kind: binary.NativeEndian.Uint16(data[8:]), count: int(binary.NativeEndian.Uint16(data[10:]))}
}

// own marks a page, which may belong to one owner only, and returns it.
func (f *boltFile) own(id uint64) (boltPage, error) {
	at := int(id) * f.pageSize
	overflow := half(f.data, at+12)
	if number(f.data, at) != id || id+overflow >= uint64(len(f.owned)) {
		return boltPage{}, fmt.Errorf("page %d calls itself %d and has %d more", id, number(f.data, at), overflow)
	}
	for next := id; next <= id+overflow; next++ {
		if f.owned[next] {
			return boltPage{}, fmt.Errorf("page %d belongs to two", next)
		}
		f.owned[next] = true
	}
	end := at + int(overflow+1)*f.pageSize
	return newBoltPage(f.data[at:end:end]), nil
}

// tree follows a tree of pages, whose keys come after before, and returns the last of them.
func (f *boltFile) tree(id uint64, before []byte) (last []byte, err error) {
	page, err := f.own(id)
	if err != nil {
		return nil, err
	}
	if before, err = f.elements(page, before); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return before, nil
}

func (f *boltFile) elements(page boltPage, before []byte) (last []byte, err error) {
	if page.kind != pageBranch && page.kind != pageLeaf {
		return nil, fmt.Errorf("type %#x", page.kind)
	}
	for i := range page.count {
		element := page.data[pageHeader+i*pageElement:]
		if page.kind == pageBranch {
			_ = element[half(element, 0):][:half(element, 4)] // the key
			before, err = f.tree(number(element, 8), before)
		} else {
			before, err = f.leaf(element, before)
		}
		if err != nil {
			return nil, err
		}
	}
	return before, nil
}

// leaf checks an element of a leaf, and follows it if it is a bucket. It returns the key.
func (f *boltFile) leaf(element, before []byte) (key []byte, err error) {
	position, keySize, valueSize := half(element, 4), half(element, 8), half(element, 12)
	key = element[position:][:keySize]
	value := element[position+keySize:][:valueSize]
	if bytes.Compare(before, key) >= 0 {
		return nil, fmt.Errorf("key %x comes after %x", key, before)
	}
	if half(element, 0)&elementIsBucket == 0 {
		return key, nil
	}
	if root := number(value, 0); root != 0 {
		_, err = f.tree(root, nil)
	} else { // small, so it lives in the value
		_, err = f.elements(newBoltPage(value[bucketHeader:]), nil)
	}
	return key, err
}

// free marks the freelist and the pages that it names.
func (f *boltFile) free(id uint64) error {
	page, err := f.own(id)
	if err != nil {
		return err
	}
	if page.kind != pageFreelist {
		return fmt.Errorf("page %d is of type %#x, not the freelist", id, page.kind)
	}
	count, list := page.count, page.data[pageHeader:]
	if count == freelistIsLonger {
		count, list = int(number(list, 0)), list[8:]
	}
	for i := range count {
		free := number(list, 8*i)
		if f.owned[free] {
			return fmt.Errorf("page %d is in use and free", free)
		}
		f.owned[free] = true
	}
	return nil
}
