package respio

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"synod/protocol/resp"
	"synod/proxy/proxytest"
	"synod/proxy/stats"
)

// feed reads all requests of src. It returns the commands, and the failure that ended
// them, if any.
func feed(src io.Reader, lim Limits) (commands [][]string, failure *resp.Value, in *Input) {
	in = &Input{src: src, mem: NewMemory(0).Open(func() {}), read: new(stats.Counter)}
	for {
		for {
			words, failure := in.Next(lim)
			if failure != nil {
				return commands, failure, in
			}
			if words == nil {
				break
			}
			in.Keep(words)
			command := make([]string, len(words))
			for i, w := range words {
				command[i] = string(w)
			}
			commands = append(commands, command)
		}
		if in.Fill() != nil {
			return commands, nil, in
		}
	}
}

var usual = Limits{Bulk: 512 << 20, Request: 1 << 30}

// reference is Redis's processInputBuffer on the whole input.
func reference(b []byte, lim Limits) (commands [][]string, failure string) {
	for len(b) > 0 {
		if b[0] != '*' {
			line, rest, ok := bytes.Cut(b, []byte{'\n'})
			if !ok {
				return commands, ""
			}
			words, ok := splitLine(nil, bytes.TrimSuffix(line, []byte{'\r'}))
			if !ok {
				return commands, "unbalanced quotes in request"
			}
			commands, b = appendCommand(commands, words), rest
			continue
		}
		n, rest, failure, ok := referenceLine(b)
		if !ok || failure || n > math.MaxInt32 {
			return commands, map[bool]string{true: "invalid multibulk length"}[ok]
		}
		b = rest
		var words [][]byte
		for ; n > 0; n-- {
			size, rest, failure, ok := referenceLine(b)
			switch {
			case !ok:
				return commands, ""
			case b[0] != '$':
				return commands, "expected '$', got '" + OneLine(b[:1]) + "'"
			case failure || size < 0 || size > lim.Bulk:
				return commands, "invalid bulk length"
			case int64(len(rest)) < size+2:
				return commands, ""
			}
			words, b = append(words, rest[:size]), rest[size+2:]
		}
		commands = appendCommand(commands, words)
	}
	return commands, ""
}

// referenceLine reads a line with a number after its first byte.
func referenceLine(b []byte) (n int64, rest []byte, failure, ok bool) {
	i := bytes.IndexByte(b, '\r')
	if i < 0 || i+2 > len(b) {
		return 0, nil, false, false
	}
	if i == 0 { // an empty line: the caller knows which error it is
		return 0, b[2:], true, true
	}
	text := string(b[1:i])
	_, err := fmt.Sscanf(text, "%d", &n)
	return n, b[i+2:], err != nil || fmt.Sprint(n) != text, true
}

func appendCommand(commands [][]string, words [][]byte) [][]string {
	if len(words) == 0 {
		return commands
	}
	var command []string
	for _, w := range words {
		command = append(command, string(w))
	}
	return append(commands, command)
}

// FuzzGuard: guard and redcon read the same commands as Redis, with the same failure at
// the end, no matter how reads split the input.
func FuzzGuard(f *testing.F) {
	for _, script := range proxytest.Requests {
		if len(script) < 2000 {
			f.Add([]byte(script))
		}
	}
	f.Add([]byte("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nx\r\n*2\r\n$3\r\nGE"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxLine {
			return
		}
		want, failure := reference(data, usual)
		for name, src := range map[string]io.Reader{
			"whole": bytes.NewReader(data), "bytewise": iotest.OneByteReader(bytes.NewReader(data)),
			"halves": iotest.HalfReader(bytes.NewReader(data)),
		} {
			got, ended, _ := feed(src, usual)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s: got %q, want %q", name, got, want)
			}
			if ended != nil && string(ended.Str) != "ERR Protocol error: "+failure || ended == nil && failure != "" {
				t.Fatalf("%s: ended with %+v, want %q", name, ended, failure)
			}
		}
	})
}

// endless repeats its text forever and counts the bytes read.
type endless struct {
	text string
	at   int
	read atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[e.at]
		if e.at++; e.at == len(e.text) {
			e.at = 0
		}
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// TestRefusedBeforeMemoryIsTaken: requests that announce or send too much.
func TestRefusedBeforeMemoryIsTaken(t *testing.T) {
	small := Limits{Bulk: 1 << 20, Request: 4 << 20}
	for name, c := range map[string]struct {
		src  io.Reader
		lim  Limits
		want string
		mem  int64 // bytes that the buffer may have grown to
	}{
		"long argument":     {strings.NewReader("*1\r\n$536870913\r\n"), usual, "ERR Protocol error: invalid bulk length", minInput},
		"many arguments":    {strings.NewReader("*2147483648\r\n"), usual, "ERR Protocol error: invalid multibulk length", minInput},
		"endless line":      {&endless{text: "a"}, usual, "ERR Protocol error: too big inline request", 2 * MaxInput},
		"endless count":     {&endless{text: "*1"}, usual, "ERR Protocol error: too big mbulk count string", 2 * MaxInput},
		"endless arguments": {io.MultiReader(strings.NewReader("*2147483647\r\n"), &endless{text: "$1\r\na\r\n"}), small, string(ErrRequestTooBig.Str), 4 << 20},
		"endless nothings":  {io.MultiReader(strings.NewReader("*2147483647\r\n"), &endless{text: "$0\r\n\r\n"}), small, string(ErrRequestTooBig.Str), 1 << 20},
		"together too long": {io.MultiReader(strings.NewReader("*100\r\n"), &endless{text: "$1000000\r\n" + strings.Repeat("x", 1_000_002)}), small, string(ErrRequestTooBig.Str), 8 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			_, failure, in := feed(c.src, c.lim)
			if failure == nil || string(failure.Str) != c.want {
				t.Errorf("got %+v, want %q", failure, c.want)
			}
			if got := in.mem.Bytes(); got > c.mem {
				t.Errorf("the buffer took %d bytes, more than %d", got, c.mem)
			}
		})
	}
}

// TestAnnouncedMemoryIsNotTaken: the buffer grows with the bytes that come, not with
// announced lengths.
func TestAnnouncedMemoryIsNotTaken(t *testing.T) {
	src := strings.NewReader("*2\r\n$4\r\nECHO\r\n$536870912\r\n" + strings.Repeat("x", 100_000))
	_, failure, in := feed(src, usual)
	if failure != nil {
		t.Fatalf("refused: %q", failure.Str)
	}
	if got := in.mem.Bytes(); got > 300_000 {
		t.Errorf("the buffer took %d bytes for 100,000 that came", got)
	}
}

// TestBufferIsBounded: the buffer does not grow with a stream in which requests never
// end where reads do.
func TestBufferIsBounded(t *testing.T) {
	const total = 64 << 20
	src := io.LimitReader(&endless{text: proxytest.Array("SET", "key", strings.Repeat("v", 1001))}, total)
	commands, failure, in := feed(src, usual)
	if failure != nil || len(commands) < total/1100 {
		t.Fatalf("%d commands, failure %+v", len(commands), failure)
	}
	if got := in.mem.Bytes(); got > 2*MaxInput {
		t.Errorf("the buffer grew to %d bytes", got)
	}
}

// TestManyWordsAreForgotten: the memory for a command with many arguments is freed.
func TestManyWordsAreForgotten(t *testing.T) {
	const n = 300_000
	src := strings.NewReader(fmt.Sprintf("*%d\r\n", n) + strings.Repeat("$1\r\na\r\n", n) + "PING\r\n")
	commands, failure, in := feed(src, usual)
	if failure != nil || len(commands) != 2 || len(commands[0]) != n {
		t.Fatalf("%d commands, failure %+v", len(commands), failure)
	}
	if got := in.mem.Bytes(); got > MaxInput || cap(in.words) > MaxInput {
		t.Errorf("%d bytes and %d words are kept", got, cap(in.words))
	}
}

// TestKeptWordsStay: later requests do not overwrite kept arguments, copied or not.
func TestKeptWordsStay(t *testing.T) {
	var script strings.Builder
	var want []string
	for i := range 200 {
		value := strings.Repeat(fmt.Sprintf("%03d", i), 1+i*i*3)
		want = append(want, value)
		script.WriteString(proxytest.Array("SET", value))
	}
	in := &Input{src: strings.NewReader(script.String()), mem: NewMemory(0).Open(func() {}), read: new(stats.Counter)}
	var kept [][]byte
	for len(kept) < len(want) {
		words, failure := in.Next(usual)
		switch {
		case failure != nil:
			t.Fatalf("failure: %q", failure.Str)
		case words != nil:
			in.Keep(words)
			kept = append(kept, words[1])
		default:
			if err := in.Fill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range want {
		if string(kept[i]) != want[i] {
			t.Fatalf("value %d was overwritten", i)
		}
	}
}
