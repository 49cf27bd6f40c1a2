package content

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
	"synod/storaged/tables"
)

// ErrDisorder says that elements did not come in their order, each once.
var ErrDisorder = errors.New("elements of a staged state are not in order")

// Builder writes the rows of a content into tables beside Pebble, element by
// element, in their order. It is used by one goroutine at a time.
type Builder struct {
	elements, buckets tables.Writer

	span    register.Span // that is counted
	counted bool
	bucket  []byte // the first key of the bucket that grows; the first bucket's is empty
	n       uint64 // elements in it

	last []byte // the key put last
	any  bool   // there is one
}

// NewBuilder begins to write the content of a register, of a type, under an
// incarnation. It ends with Close or Abandon.
func NewBuilder(db *tables.DB, r register.ID, i rowcodec.Incarnation, kind register.Type) *Builder {
	b := &Builder{
		elements: db.NewWriter(rowcodec.AppendRows(nil, r, rowcodec.RowElement, i)),
		buckets:  db.NewWriter(rowcodec.AppendRows(nil, r, rowcodec.RowBucket, i)),
	}
	b.span, b.counted = layout.Counted(kind)
	return b
}

// Add writes elements, Puts in the order of their keys, behind those before. Its
// errors are ErrDisorder and the disk's.
func (b *Builder) Add(ops []register.Op) error {
	for i := range ops {
		op := &ops[i]
		if op.Kind != register.Put || b.any && bytes.Compare(op.Key, b.last) <= 0 {
			return ErrDisorder
		}
		if err := b.put(op); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) put(op *register.Op) error {
	b.last, b.any = append(b.last[:0], op.Key...), true
	if b.counted && b.span.Contains(op.Key) {
		if b.n == BucketFull {
			if err := b.sealBucket(); err != nil {
				return err
			}
			b.bucket, b.n = append(b.bucket[:0], op.Key...), 0
		}
		b.n++
	}
	return b.elements.Put(op.Key, op.Value)
}

// sealBucket writes the row of the bucket that grew.
func (b *Builder) sealBucket() error {
	var value [binary.MaxVarintLen64]byte
	return b.buckets.Put(b.bucket, value[:binary.PutUvarint(value[:], b.n)])
}

// Written returns the bytes of the elements so far.
func (b *Builder) Written() int64 { return b.elements.Written() }

// Paths returns the files of the tables.
func (b *Builder) Paths() []string { return slices.Concat(b.elements.Paths(), b.buckets.Paths()) }

// Close finishes the tables: all of the content is in files, and durable.
func (b *Builder) Close() error {
	if b.counted {
		if err := b.sealBucket(); err != nil {
			return err
		}
	}
	return errors.Join(b.elements.Close(), b.buckets.Close())
}

// Abandon removes the files that Pebble has not taken in.
func (b *Builder) Abandon() {
	b.elements.Abandon()
	b.buckets.Abandon()
}
