package placement

import (
	"bytes"

	"synod/protocol/partition"
)

// Slots is the number of slots that keys are spread over.
const Slots = partition.Slots

// Slot returns the slot of a key, as Redis Cluster computes it: CRC16 of the key, or
// of its hash tag. The hash tag is the text between the first '{' and the first '}'
// after it, unless that is empty.
func Slot(key []byte) uint16 {
	if open := bytes.IndexByte(key, '{'); open >= 0 {
		if n := bytes.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	var crc uint16
	for _, c := range key {
		crc = crc<<8 ^ crc16[byte(crc>>8)^c]
	}
	return crc % Slots
}

// crc16 is the table of CRC-16/XMODEM: polynomial 0x1021, initial value 0,
// nothing reflected.
var crc16 = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}()
