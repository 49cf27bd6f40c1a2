package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"
)

// Conn is a connection to a Redis server on which every byte is seen.
type Conn struct {
	net.Conn
	in *bufio.Reader
}

// Dial connects to a server, within Patience.
func Dial(t testing.TB, addr string) *Conn {
	t.Helper()
	c, err := TryDial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TryDial connects to a server once. The caller closes the connection.
func TryDial(addr string) (*Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// AppendCommand appends a request as an array of bulk strings.
func AppendCommand(dst []byte, args ...[]byte) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(args))
	for _, a := range args {
		dst = fmt.Appendf(dst, "$%d\r\n", len(a))
		dst = append(dst, a...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// Command is AppendCommand for words of text.
func Command(words ...string) []byte {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return AppendCommand(nil, args...)
}

// Send writes bytes as they are. It does not wait for a server that does not
// read for longer than Patience.
func (c *Conn) Send(b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(Patience)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// Do sends a command and returns the bytes of its reply.
func (c *Conn) Do(words ...string) ([]byte, error) {
	if err := c.Send(Command(words...)); err != nil {
		return nil, err
	}
	return c.Reply()
}

// Must is Do for commands that cannot fail, and returns the reply as text.
func (c *Conn) Must(t testing.TB, words ...string) string {
	t.Helper()
	reply, err := c.Do(words...)
	if err != nil {
		t.Fatalf("%.100q: %v", words, err)
	}
	return string(reply)
}

// errShape is returned for bytes that are no reply.
var errShape = errors.New("not a reply")

// Reply returns the bytes of the next reply, as they came, within Patience.
func (c *Conn) Reply() ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err := c.reply(&buf)
	return buf.Bytes(), err
}

func (c *Conn) reply(buf *bytes.Buffer) error {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		var rest []byte
		line = bytes.Clone(line)
		rest, err = c.in.ReadBytes('\n')
		line = append(line, rest...)
	}
	if err != nil {
		return err
	}
	buf.Write(line)
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return fmt.Errorf("%w: %.100q", errShape, line)
	}
	kind, body := line[0], line[1:len(line)-2]
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		return nil
	case '$', '=', '*', '~', '>', '%':
	default:
		return fmt.Errorf("%w: %.100q", errShape, line)
	}
	n, err := strconv.Atoi(string(body))
	if err != nil || n < -1 {
		return fmt.Errorf("%w: %.100q", errShape, line)
	}
	return c.body(buf, kind, n)
}

// body reads what comes after the length of a reply of the kind.
func (c *Conn) body(buf *bytes.Buffer, kind byte, n int) error {
	if kind == '$' || kind == '=' {
		if n < 0 {
			return nil
		}
		if _, err := io.CopyN(buf, c.in, int64(n)+2); err != nil {
			return err
		}
		if !bytes.HasSuffix(buf.Bytes(), []byte("\r\n")) {
			return fmt.Errorf("%w: bulk string without an end", errShape)
		}
		return nil
	}
	if kind == '%' {
		n *= 2
	}
	for range n {
		if err := c.reply(buf); err != nil {
			return err
		}
	}
	return nil
}

// Rest returns what the server sends until it closes the connection; ok tells
// that it did, within Patience.
func (c *Conn) Rest() (rest []byte, ok bool) {
	if err := c.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return nil, false
	}
	rest, err := io.ReadAll(c.in)
	var timeout net.Error
	return rest, err == nil || !errors.As(err, &timeout) || !timeout.Timeout()
}
