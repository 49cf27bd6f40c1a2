package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"synod/protocol/rpc"
)

const (
	// secretSize is the size of generated secrets, minSecret the minimum size of one in
	// a file: a secret must be too long to guess.
	secretSize = 32
	minSecret  = 16
	// maxSecrets bounds the secrets of a file: one for each step of replacing
	// another.
	maxSecrets = 4
)

// secretRecord is the record below "secret".
type secretRecord struct {
	Current string `json:"current"`
	// Previous is the secret that Current replaced: processes that have not seen the
	// change still use it. It is valid until the next change.
	Previous string    `json:"previous,omitempty"`
	Since    time.Time `json:"since"`
}

func (s *Store) newSecret(previous string) secretRecord {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // never fails, says its documentation
	return secretRecord{Current: hex.EncodeToString(b), Previous: previous, Since: s.now().UTC()}
}

func (r secretRecord) secrets() ([]rpc.Secret, error) {
	var out []rpc.Secret
	for _, text := range []string{r.Current, r.Previous} {
		if text == "" {
			continue
		}
		b, err := hex.DecodeString(text)
		if err != nil || len(b) < minSecret {
			return nil, fmt.Errorf("%w: secret: not %d or more bytes in hexadecimal", errCorrupt, minSecret)
		}
		out = append(out, b)
	}
	if r.Current == "" {
		return nil, fmt.Errorf("%w: secret: there is none", errCorrupt)
	}
	return out, nil
}

// ReadSecrets reads a file with secrets, one per line, the preferred one first. It
// ignores empty lines and lines that begin with #.
func ReadSecrets(name string) ([]rpc.Secret, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	var out []rpc.Secret
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(line) < minSecret {
			return nil, fmt.Errorf("cluster secret: %s: a line of %d characters: at least %d are needed", name, len(line), minSecret)
		}
		out = append(out, line)
	}
	if len(out) == 0 || len(out) > maxSecrets {
		return nil, fmt.Errorf("cluster secret: %s: %d secrets, 1 to %d are allowed, one in a line", name, len(out), maxSecrets)
	}
	return out, nil
}

// lacksSecret reports whether etcd shows a cluster without a secret: one that
// was created before there were any.
func (f *follower) lacksSecret() bool {
	_, created := f.rows["identity"]
	_, has := f.rows["secret"]
	return created && !has && len(f.store.fileSecrets) == 0
}

// makeSecret gives the cluster a secret if it has none. All watching processes try; the
// first wins.
func (f *follower) makeSecret(ctx context.Context) error {
	s := f.store
	if !f.lacksSecret() {
		return nil
	}
	key, value := s.key("secret"), encode(s.newSecret(""))
	resp, err := s.client.Txn(ctx).If(
		clientv3.Compare(clientv3.CreateRevision(key), "=", 0),
		clientv3.Compare(clientv3.ModRevision(s.key("identity")), "=", f.rows["identity"].rev),
	).Then(clientv3.OpPut(key, value)).Commit()
	if err != nil {
		return err
	}
	if resp.Succeeded {
		s.log.Info("the cluster had no secret: created one")
	}
	return f.list(ctx)
}

// secrets returns the secrets to use: those of the file if there is one.
func (f *follower) secrets() ([]rpc.Secret, error) {
	r, ok := f.rows["secret"]
	if len(f.store.fileSecrets) > 0 || !ok {
		return f.store.fileSecrets, nil
	}
	rec, err := decode[secretRecord]("secret", r.value)
	if err != nil {
		return nil, err
	}
	return rec.secrets()
}

// RotateSecret replaces the cluster's secret by a new one. The previous secret stays
// valid until the next call; the one before it becomes invalid.
func (s *Store) RotateSecret(ctx context.Context) error {
	next := s.newSecret("")
	_, err := retry(ctx, s, "replace the secret of cluster "+s.cluster, func(ctx context.Context) (struct{}, error) {
		f := follower{store: s}
		if err := f.list(ctx); err != nil {
			return struct{}{}, err
		}
		r, ok := f.rows["secret"]
		if !ok {
			return struct{}{}, ErrNoSecret
		}
		old, err := decode[secretRecord]("secret", r.value)
		if err != nil || old.Current == next.Current { // else an earlier attempt's answer was lost
			return struct{}{}, err
		}
		next.Previous = old.Current
		resp, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(s.key("secret")), "=", r.rev)).
			Then(clientv3.OpPut(s.key("secret"), encode(next))).Commit()
		if err == nil && !resp.Succeeded {
			err = errors.New("another process is replacing it, too")
		}
		return struct{}{}, err
	})
	return err
}
