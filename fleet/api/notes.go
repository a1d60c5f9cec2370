package api

import "fmt"

// maxNotes bounds the warnings about one answer.
const maxNotes = 5

// notes collects what was left out of one answer.
type notes struct {
	a     *attempt
	lines []string
	more  int
}

func (n *notes) add(format string, args ...any) {
	if len(n.lines) == maxNotes {
		n.more++
		return
	}
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// flush hands the warnings to the caller's Warn.
func (n *notes) flush() {
	if n.more > 0 {
		n.lines = append(n.lines, fmt.Sprintf("and %d more such warnings", n.more))
	}
	for _, line := range n.lines {
		n.a.c.cfg.Warn(n.a.clean(n.a.req.op + ": " + line))
	}
}

// shown is foreign text inside a warning.
func shown(t text) string { return `"` + clean(string(t), 60) + `"` }
