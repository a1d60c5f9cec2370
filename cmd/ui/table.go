package ui

import (
	"slices"
	"strings"
)

// minColumn is how narrow a column may become before the table overflows.
const minColumn = 8

type cell struct {
	text  string // clean
	style Style
}

type cellHead struct {
	text                string
	right, minor, wraps bool
}

// longName is how wide the first column may be at the cost of others: names
// are short, and of an id the beginning will do.
const longName = 24

// tableText lays out rows: aligned under a header on a terminal, tab separated
// without header elsewhere.
type tableText struct {
	head     []cellHead
	rows     [][]cell
	terminal bool
	width    int // 0: no truncation
	style    Styler
}

func (t tableText) render() string {
	var b strings.Builder
	if !t.terminal {
		for _, row := range t.rows {
			for i, c := range row {
				if i > 0 {
					b.WriteByte('\t')
				}
				b.WriteString(c.text)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	t.dropMinor()
	widths := t.columnWidths()
	header := make([]cell, len(t.head))
	for i, h := range t.head {
		header[i] = cell{text: h.text, style: Strong}
	}
	t.line(&b, widths, header)
	for _, row := range t.rows {
		t.line(&b, widths, row)
	}
	return b.String()
}

// line writes a row: one line, or more where a cell wraps.
func (t tableText) line(b *strings.Builder, widths []int, row []cell) {
	cells, height := make([][]string, len(row)), 1
	for i, c := range row {
		cells[i] = []string{Truncate(c.text, widths[i])}
		if t.head[i].wraps && Width(c.text) > widths[i] {
			cells[i] = wrapCell(c.text, widths[i])
		}
		height = max(height, len(cells[i]))
	}
	for n := range height {
		var line strings.Builder
		for i, c := range row {
			text := ""
			if n < len(cells[i]) {
				text = cells[i][n]
			}
			gap := widths[i] - Width(text)
			if t.head[i].right {
				line.WriteString(strings.Repeat(" ", gap))
				gap = 0
			}
			line.WriteString(t.style.Apply(c.style, text))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", gap+2))
			}
		}
		text := line.String()
		if n > 0 {
			text = strings.TrimRight(text, " ")
		}
		b.WriteString(text + "\n")
	}
}

// wrapCell breaks clean text into lines of at most width columns: at spaces, and
// inside of a word that is longer than a line.
func wrapCell(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			if line != "" && Width(line)+1+Width(word) <= width {
				line += " " + word
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
			}
			if Width(word) <= width {
				line = word
				break
			}
			head := widths().Truncate(word, width, "")
			if head == "" { // not even one character fits
				head = word
			}
			lines, word = append(lines, head), word[len(head):]
		}
	}
	return append(lines, line)
}

// dropMinor leaves out the minor columns where the others could not be shown
// in full beside them even when cut short.
func (t *tableText) dropMinor() {
	wide := *t
	wide.width = 0
	needs, least := wide.columnWidths(), 2*(len(t.head)-1)
	for i, w := range needs {
		if i > 0 && !t.head[i].right {
			w = min(w, minColumn)
		}
		least += min(w, longName)
	}
	if t.width == 0 || least <= t.width {
		return
	}
	for i := len(t.head) - 1; i > 0; i-- {
		if t.head[i].minor {
			t.head = slices.Delete(t.head, i, i+1)
			for r := range t.rows {
				t.rows[r] = slices.Delete(t.rows[r], i, i+1)
			}
		}
	}
}

// columnWidths gives every column what it needs and, if that is more than the
// terminal has, takes from the widest column until it fits. The first column
// names the row and, unless it is very wide, gives way last.
func (t tableText) columnWidths() []int {
	widths := make([]int, len(t.head))
	total := 2 * (len(t.head) - 1)
	for i, h := range t.head {
		widths[i] = Width(h.text)
		for _, row := range t.rows {
			widths[i] = max(widths[i], Width(row[i].text))
		}
		total += widths[i]
	}
	for t.width > 0 && total > t.width {
		i := t.widest(widths)
		if i < 0 {
			break
		}
		widths[i]--
		total--
	}
	return widths
}

// widest returns the widest column that may still shrink, or -1. Half a number says
// something else, so those stay whole.
func (t tableText) widest(widths []int) int {
	if len(widths) > 0 && widths[0] > longName {
		return 0
	}
	best := -1
	for i := len(widths) - 1; i >= 1; i-- {
		if widths[i] > minColumn && !t.head[i].right && (best < 0 || widths[i] > widths[best]) {
			best = i
		}
	}
	if best < 0 && len(widths) > 0 && widths[0] > minColumn {
		return 0
	}
	return best
}
