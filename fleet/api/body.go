package api

import (
	"errors"
	"io"
	"time"
)

// Bounds on what a server may make this program hold. They apply to what
// comes out of the decompression. A VM takes about 300 bytes in a list.
const (
	maxBody       = 16 << 20
	maxErrorBody  = 64 << 10
	maxDepth      = 64      // nesting of JSON
	maxElements   = 100_000 // entries of one list
	errorBodyTime = 2 * time.Second
)

var errTooLarge = errors.New("body too large")

// readBody reads at most limit bytes. With errTooLarge it returns the first
// limit bytes.
func readBody(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], errTooLarge
	}
	return body, err
}

// shallow reports whether JSON text nests at most limit deep. It may be wrong
// about text that is not JSON, which the decoder refuses anyway.
func shallow(text []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > limit {
				return false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return true
}
