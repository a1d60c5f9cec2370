package transfer

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
)

// A journal lies beside the unfinished file of a large file and tells which
// ranges of it have arrived. Its first line tells which state of the VM's file
// that was. It is advice: the verification at the end is over the whole file, and finds
// what a crash made of it.

// maxJournal bounds what is read back, lines.
const maxJournal = 1 << 20

// journalHead identifies a state of the VM's file.
func journalHead(it *item) string {
	return fmt.Sprintf("v1 %d %d %d %d\n", it.size, it.mtime, it.dev, it.ino)
}

// readJournal returns the ranges if the journal is about this state.
func readJournal(f io.Reader, it *item) (byteRanges, bool) {
	r := bufio.NewReader(f)
	head, err := r.ReadString('\n')
	if err != nil || head != journalHead(it) {
		return nil, false
	}
	var ss byteRanges
	for range maxJournal {
		line, err := r.ReadString('\n')
		if err != nil {
			break // a torn last line is not counted
		}
		var s byteRange
		if n, _ := fmt.Sscanf(line, "%d %d\n", &s.off, &s.end); n != 2 || s.off < 0 || s.end > it.size || s.off >= s.end {
			break
		}
		ss = ss.add(s)
	}
	return ss, true
}

// startJournal begins a journal anew.
func startJournal(part dest.Part, it *item, ss byteRanges) (*os.File, error) {
	f, err := part.CreateJournal()
	if err != nil {
		return nil, err
	}
	text := journalHead(it)
	for _, s := range ss {
		text += fmt.Sprintf("%d %d\n", s.off, s.end)
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
