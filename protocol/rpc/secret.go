package rpc

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
)

// Secret is shared by the processes of one cluster. In a handshake each side proves
// that it knows the secret: it computes a keyed hash over what both have said,
// including a random number of each, so that a proof is useless in another
// handshake. The secret itself never leaves a process.
//
// This keeps out anyone who can reach a port but does not know the secret. It does
// not protect against a man in the middle who lets the handshake pass and takes over
// the connection: sessions are neither encrypted nor signed.
type Secret []byte

// String keeps secrets out of logs.
func (Secret) String() string { return "(secret)" }

// GoString keeps secrets out of logs.
func (Secret) GoString() string { return "(secret)" }

const (
	nonceSize = 32
	proofSize = sha256.Size
)

// The hashed data begins with one of these, so that a hash for one purpose is no use
// for another: a proof cannot be sent back to the side that made it.
const (
	nameOfSecret = "synod: id of a secret\n"
	serverProof  = "synod: proof of the server\n"
	clientProof  = "synod: proof of the client\n"
)

// secretID identifies a secret without revealing it: secrets are random and too long
// to be guessed.
type secretID [8]byte

func (s Secret) hash(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, s)
	h.Write([]byte(purpose))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (s Secret) id() secretID { return secretID(s.hash(nameOfSecret)[:len(secretID{})]) }

// proof is that of one side. Hellos carry their length, so one and the same
// proof is never that of two different pairs.
func (s Secret) proof(side string, client, server []byte) []byte {
	return s.hash(side, client, server)
}

// proves reports whether proof is that of the side, in constant time.
func (s Secret) proves(side string, client, server, proof []byte) bool {
	return hmac.Equal(proof, s.proof(side, client, server))
}

func idsOf(secrets []Secret) []secretID {
	ids := make([]secretID, len(secrets))
	for i, s := range secrets {
		ids[i] = s.id()
	}
	return ids
}

// common returns the first of the secrets that is among those named, nil if
// none is.
func common(secrets []Secret, named []secretID) Secret {
	for _, s := range secrets {
		if slices.Contains(named, s.id()) {
			return s
		}
	}
	return nil
}
