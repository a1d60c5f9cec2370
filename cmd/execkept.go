package cmd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// execKept is a VM's output while it is collected.
type execKept struct{ stdout, stderr keptStream }

// keptStream keeps what a VM prints: the first bytes in memory, so that VMs
// cannot fill it, and the rest in a temporary file or not at all.
type keptStream struct {
	most  int  // bytes in memory
	spill bool // the rest goes into a file
	size  int64
	mem   bytes.Buffer
	file  *os.File
}

// What is kept in memory at most of one stream of a VM, and of that of all VMs.
const (
	maxKept    = 16 << 20
	maxKeptAll = 512 << 20
)

func (k *keptStream) Write(p []byte) (int, error) {
	k.size += int64(len(p))
	room := min(len(p), max(0, k.most-k.mem.Len()))
	k.mem.Write(p[:room])
	if rest := p[room:]; len(rest) > 0 && k.spill {
		if err := k.write(rest); err != nil {
			return room, &problem.Error{Kind: problem.Storage, What: "cannot keep the output of a VM until it is done", Why: problem.Cause(err), Origin: problem.OriginLocal,
				Next: "make room for temporary files, or leave --group out", Err: err}
		}
	}
	return len(p), nil
}

func (k *keptStream) write(p []byte) (err error) {
	if k.file == nil {
		if k.file, err = os.CreateTemp("", "vers-fleet-exec-"); err != nil {
			return err
		}
		_ = os.Remove(k.file.Name()) // where that is possible while it is open
	}
	_, err = k.file.Write(p)
	return err
}

// cut reports whether a part was left out.
func (k *keptStream) cut() bool { return k.file == nil && k.size > int64(k.mem.Len()) }

// text is what is in memory, up to the last whole character.
func (k *keptStream) text() string {
	b := k.mem.Bytes()
	for n := 1; k.cut() && n < utf8.UTFMax && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				b = b[:len(b)-n]
			}
			break
		}
	}
	return string(b)
}

// copyLines writes all of it, cleaned, the last line ended, and lets go of it.
func (k *keptStream) copyLines(w io.Writer) error {
	clean := &cleanWriter{w: w}
	_, err := io.Copy(clean, &k.mem)
	if k.file != nil {
		_, seekErr := k.file.Seek(0, io.SeekStart)
		_, copyErr := io.Copy(clean, k.file)
		err = errors.Join(err, seekErr, copyErr, k.file.Close())
		_ = os.Remove(k.file.Name())
	}
	return errors.Join(err, clean.end())
}
