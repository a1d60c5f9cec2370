package session

import (
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// tailBuffer keeps the first 4 KiB of what a command says on stderr.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := 4096 - len(b.buf); room > 0 {
		b.buf = append(b.buf, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// text is what was said, on one line, without control characters, at most 200
// runes.
func (b *tailBuffer) text() string { return CleanLine(b.raw()) }

func (b *tailBuffer) raw() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.buf)
}

// CleanLine makes foreign text fit for a message.
func CleanLine(s string) string {
	s = safe.OneLine(s)
	if runes := []rune(s); len(runes) > 200 {
		s = string(runes[:200]) + "..."
	}
	return s
}
