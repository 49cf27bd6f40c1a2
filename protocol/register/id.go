package register

// ID names a register: its key and the slot that places it. The key's first
// byte is the name space. The rest is the user's key.
type ID struct {
	Slot uint16
	Key  string
}

// RecordSpace is the name space of transaction records (§6).
const RecordSpace = 0xff
