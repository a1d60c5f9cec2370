package transfer

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// errUnreadable: the VM cannot read the file.
var errUnreadable = errors.New("the VM cannot read the file")

// parseHash reads 64 hex digits at the beginning of a line.
func parseHash(line string) (sum [32]byte, ok bool) {
	if len(line) < 64 {
		return sum, false
	}
	n, err := hex.Decode(sum[:], []byte(line[:64]))
	return sum, err == nil && n == 32
}

// readLine reads a line of at most 8 KiB.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < 8<<10 {
		b, err := r.ReadByte()
		if err != nil {
			return string(line), err
		}
		if b == '\n' {
			return string(line), nil
		}
		line = append(line, b)
	}
	return "", session.ErrNoise
}

// prefixRequest asks for the SHA-256 of a file's first n bytes.
type prefixRequest struct {
	name string
	n    int64
}

// prefixHashes asks for several at once; ok[i] is false if the VM cannot read
// that file.
func prefixHashes(ctx context.Context, c *session.Conn, rs []prefixRequest) (sums [][32]byte, ok []bool, err error) {
	s := c.Start(ctx, prefixHashCmd)
	defer s.Stop()
	var bytes int64
	for _, r := range rs {
		bytes += r.n
	}
	s.Due("hashes", session.ToRead(bytes))
	s.Input(func(w *bufio.Writer) error {
		for i, r := range rs {
			if _, err := fmt.Fprintf(w, "%d\x00%d\x00%s\x00", i, r.n, r.name); err != nil {
				return err
			}
		}
		return nil
	})
	sums, ok = make([][32]byte, len(rs)), make([]bool, len(rs))
	if err := s.Ready(); err != nil {
		return sums, ok, err
	}
	for range rs {
		line, err := readLine(s.Out)
		if err != nil {
			return sums, ok, s.Failure(err)
		}
		num, rest, _ := strings.Cut(line, " ")
		i, err := strconv.Atoi(num)
		if err != nil || i < 0 || i >= len(rs) {
			return sums, ok, session.ErrNoise
		}
		sums[i], ok[i] = parseHash(rest)
	}
	return sums, ok, nil
}

// blockHashes reads the SHA-256 of each block of a file's first n bytes and
// hands them to fn in order.
func blockHashes(ctx context.Context, c *session.Conn, name string, n, block int64, fn func(i int64, sum [32]byte) error) error {
	s := c.Start(ctx, blockHashCmd)
	defer s.Stop()
	count := (n + block - 1) / block
	s.Due("hashes", session.ToRead(n))
	s.Items(strconv.FormatInt(block, 10), strconv.FormatInt(count, 10), name)
	if err := s.Ready(); err != nil {
		return err
	}
	for i := range count {
		line, err := readLine(s.Out)
		if err != nil {
			if err = s.Failure(err); session.IsDrop(err) {
				return err
			}
			return errUnreadable
		}
		sum, ok := parseHash(line)
		if !ok {
			return errUnreadable
		}
		if err := fn(i, sum); err != nil {
			return err
		}
	}
	return nil
}

// deltaBlock is how finely two states of a file of n bytes are compared: finer
// moves less, but each block costs the VM about 3 ms (and a buffer here).
func deltaBlock(n int64) int64 {
	return min(max(rangeBlock, roundUp(n/2000, rangeBlock)), 8<<20)
}

// plainName tells whether a name may be printed by a tool on a line of its own
// and read back.
func plainName(name string) bool { return !strings.ContainsAny(name, "\n\r\\") }
