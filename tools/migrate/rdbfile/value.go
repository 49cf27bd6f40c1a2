package rdbfile

import (
	"fmt"

	"synod/proxy/datatype/rdb"
)

// head reads a length; if it is special, it says how a string is encoded.
func (r *Reader) head() (n uint64, special bool, err error) {
	b, err := r.bytes(1)
	if err != nil {
		return 0, false, err
	}
	low, more := uint64(b[0]&0x3f), uint64(0)
	switch {
	case b[0] < 0x40:
		return low, false, nil
	case b[0] >= 0xc0:
		return low, true, nil
	case b[0] < 0x80:
		more = 1
	case b[0] == 0x80:
		low, more = 0, 4
	case b[0] == 0x81:
		low, more = 0, 8
	default:
		return 0, false, fmt.Errorf("%w: unknown length %#x at byte %d", ErrFormat, b[0], r.pos.Offset)
	}
	rest, err := r.bytes(more)
	for _, c := range rest {
		low = low<<8 | uint64(c)
	}
	return low, false, err
}

func (r *Reader) length() (uint64, error) {
	n, special, err := r.head()
	if err == nil && special {
		err = fmt.Errorf("%w: a string where a length should be, at byte %d", ErrFormat, r.pos.Offset)
	}
	return n, err
}

func (r *Reader) lengths(n uint64) error {
	for ; n > 0; n-- {
		if _, err := r.length(); err != nil {
			return err
		}
	}
	return nil
}

// skipString reads a string and keeps nothing.
func (r *Reader) skipString() error {
	n, special, err := r.head()
	switch {
	case err != nil:
		return err
	case !special:
		return r.skip(n)
	case n < 3: // integers of 1, 2, 4 bytes
		return r.skip(1 << n)
	case n > 3:
		return fmt.Errorf("%w: unknown encoding of a string at byte %d", ErrFormat, r.pos.Offset)
	}
	packed, err := r.length()
	if err == nil {
		_, err = r.length()
	}
	if err == nil {
		err = r.skip(packed)
	}
	return err
}

func (r *Reader) skipStrings(n uint64) error {
	for ; n > 0; n-- {
		if err := r.skipString(); err != nil {
			return err
		}
	}
	return nil
}

// string reads a string.
func (r *Reader) string() ([]byte, error) {
	begin := r.record
	raw := newRecord()
	r.record = raw
	err := r.skipString()
	r.record = begin
	if err != nil {
		return nil, err
	}
	// A string as such is a value, too.
	v, err := rdb.Parse(raw.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w: at byte %d: %w", ErrFormat, r.pos.Offset, err)
	}
	return v.Text, nil
}

// value reads a value of the type, to its end.
func (r *Reader) value(kind byte) error {
	switch kind {
	case 0, 9, 10, 11, 12, 13, 16, 17, 20: // a string, or what is packed into one
		return r.skipString()
	case 1, 2, 14: // a list, a set, a list of ziplists
		return r.times(r.skipString)
	case 4: // a hash
		return r.times(func() error { return r.skipStrings(2) })
	case 24: // a hash with fields that expire: the earliest time, and one with each
		if err := r.skip(8); err != nil {
			return err
		}
		return r.times(func() error {
			if err := r.lengths(1); err != nil {
				return err
			}
			return r.skipStrings(2)
		})
	case 25: // the same, packed
		if err := r.skip(8); err != nil {
			return err
		}
		return r.skipString()
	case 3: // a sorted set with scores as text
		return r.times(func() error {
			if err := r.skipString(); err != nil {
				return err
			}
			n, err := r.bytes(1)
			if err == nil && n[0] < 253 {
				err = r.skip(uint64(n[0]))
			}
			return err
		})
	case 5: // a sorted set
		return r.times(func() error {
			if err := r.skipString(); err != nil {
				return err
			}
			return r.skip(8)
		})
	case 18: // a list of listpacks
		return r.times(func() error {
			if _, err := r.length(); err != nil {
				return err
			}
			return r.skipString()
		})
	case 15, 19, 21:
		return r.stream(kind)
	case 7:
		return r.module()
	}
	return fmt.Errorf("%w: unknown type %d at byte %d", ErrFormat, kind, r.pos.Offset)
}

// times reads a count and that many things.
func (r *Reader) times(one func() error) error {
	n, err := r.length()
	for ; n > 0 && err == nil; n-- {
		err = one()
	}
	return err
}

// stream reads a stream: nodes; the number of entries and the last ID, and from
// the second format on the first ID, the highest that was deleted and how many
// were added; and groups.
func (r *Reader) stream(kind byte) error {
	if err := r.times(func() error { return r.skipStrings(2) }); err != nil {
		return err
	}
	numbers, ofGroup := uint64(3), uint64(2)
	if kind != 15 {
		numbers, ofGroup = 8, 3
	}
	times := uint64(8)
	if kind == 21 {
		times = 16
	}
	if err := r.lengths(numbers); err != nil {
		return err
	}
	const id = 16
	return r.times(func() error {
		if err := r.skipString(); err != nil {
			return err
		}
		if err := r.lengths(ofGroup); err != nil {
			return err
		}
		err := r.times(func() error { // pending entries: when they were delivered, how often
			if err := r.skip(id + 8); err != nil {
				return err
			}
			return r.lengths(1)
		})
		if err != nil {
			return err
		}
		return r.times(func() error { // consumers
			if err := r.skipString(); err != nil {
				return err
			}
			if err := r.skip(times); err != nil {
				return err
			}
			return r.times(func() error { return r.skip(id) })
		})
	})
}

// module reads what a module has written: an opcode before each part.
func (r *Reader) module() error {
	id, err := r.length()
	if err == nil {
		err = r.moduleParts()
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: module %s", ErrModule, moduleName(id))
}

func (r *Reader) moduleAux() error {
	if err := r.lengths(3); err != nil { // the module, an opcode and when
		return err
	}
	return r.moduleParts()
}

func (r *Reader) moduleParts() error {
	for {
		op, err := r.length()
		switch {
		case err != nil:
			return err
		case op == 0:
			return nil
		case op == 1 || op == 2: // an integer
			err = r.lengths(1)
		case op == 3: // a float
			err = r.skip(4)
		case op == 4: // a double
			err = r.skip(8)
		case op == 5:
			err = r.skipString()
		default:
			err = fmt.Errorf("%w: unknown part of a module's value at byte %d", ErrFormat, r.pos.Offset)
		}
		if err != nil {
			return err
		}
	}
}

// moduleName returns the name in a module's id: 9 letters of 6 bits, and 10
// bits for its version.
func moduleName(id uint64) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var name [9]byte
	for i := range name {
		name[i] = letters[id>>(64-6*(i+1))&63]
	}
	return string(name[:])
}
