package lieutenant

import (
	"bytes"
	"slices"
)

// rawLine is one complete line. Its text may not be kept.
type rawLine struct {
	offset int64
	text   []byte // nil if oversized
	over   bool
}

// lineWalker puts lines together from blocks that come in reverse order.
type lineWalker struct {
	pieces  [][]byte // of the line that continues to the left, in reverse order
	size    int
	started bool  // a newline was seen, so what is to its left is a complete line
	end     int64 // behind the last complete line; valid if started
}

// block splits one block and calls fn with its lines from the last to the first.
func (w *lineWalker) block(start int64, data []byte, fn func(rawLine) bool) bool {
	for {
		i := bytes.LastIndexByte(data, '\n')
		w.prepend(data[i+1:])
		if i < 0 {
			return true
		}
		if !w.emit(start+int64(i)+1, fn) {
			return false
		}
		if !w.started {
			w.started, w.end = true, start+int64(i)+1
		}
		data = data[:i]
	}
}

// first ends the walk at the beginning of the file.
func (w *lineWalker) first(fn func(rawLine) bool) { w.emit(0, fn) }

func (w *lineWalker) prepend(piece []byte) {
	w.size += len(piece)
	if w.size > MaxLine {
		w.pieces = nil
		return
	}
	w.pieces = append(w.pieces, piece)
}

func (w *lineWalker) emit(offset int64, fn func(rawLine) bool) bool {
	line := rawLine{offset: offset, over: w.size > MaxLine}
	switch {
	case line.over:
	case len(w.pieces) == 1:
		line.text = w.pieces[0]
	default:
		slices.Reverse(w.pieces)
		line.text = slices.Concat(w.pieces...)
	}
	empty := w.size == 0
	w.pieces, w.size = nil, 0
	if !w.started || empty {
		return true
	}
	return fn(line)
}
