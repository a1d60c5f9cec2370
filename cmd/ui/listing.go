package ui

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Column is one column of a listing for people. Exactly one of Value and Time
// is set.
type Column[T any] struct {
	Header string
	Wide   bool              // shown with -o wide only
	Right  bool              // numbers: aligned to the right on a terminal
	Minor  bool              // left out where the terminal is too narrow for all
	Wraps  bool              // says why, or what to do: continued below where it does not fit, never cut
	Sparse bool              // left out of the table on a terminal when every row has "-", "0" or nothing
	Value  func(T) string    // raw text; the printer sanitises it
	Time   func(T) time.Time // relative on a terminal, RFC 3339 in a pipe, "-" if zero
	Style  func(T) Style     // optional
}

// Listing declares once how a list of T is shown in every format. JSON and
// what is made from it comes from T's own struct tags; each T carries its own
// source and as_of fields where the list may come from the cache.
type Listing[T any] struct {
	Columns []Column[T]
	Name    func(T) string   // what -o name prints, one per line
	Empty   string           // said on stderr when a table has no rows
	Now     func() time.Time // nil: time.Now
}

// Print writes items to s.Out in the given format. The JSON form is an array,
// [] when there is nothing.
func (l Listing[T]) Print(s *Streams, f Format, items []T) error {
	switch f.kind {
	case table, wide:
		return l.printTable(s, f, items)
	case nameOnly:
		var b strings.Builder
		for _, it := range items {
			b.WriteString(safe.Clean(l.Name(it)) + "\n")
		}
		return writeString(s.Out, b.String())
	case jsonLines:
		for _, it := range items {
			if err := PrintLine(s, it); err != nil {
				return err
			}
		}
		return nil
	case jsonDoc:
		return printArray(s, items)
	default:
		if items == nil {
			items = []T{}
		}
		return printValue(s, f, items)
	}
}

func (l Listing[T]) printTable(s *Streams, f Format, items []T) error {
	if len(items) == 0 {
		if l.Empty != "" {
			s.Notef("%s", l.Empty)
		}
		return nil
	}
	now, terminal := clock(l.Now), s.OutTerminal()
	columns := l.shown(f, terminal, items)
	if !terminal {
		return printTabs(s.Out, columns, items, now)
	}
	t := tableText{terminal: true, style: s.OutStyle()}
	if f.kind == table {
		t.width = s.outWidth()
	}
	for _, c := range columns {
		t.head = append(t.head, cellHead{text: c.Header, right: c.Right, minor: c.Minor, wraps: c.Wraps})
	}
	for _, it := range items {
		row := make([]cell, len(columns))
		for i, c := range columns {
			row[i] = c.cell(it, t.terminal, now)
		}
		t.rows = append(t.rows, row)
	}
	return writeString(s.Out, t.render())
}

// outBuffer is how much of a long answer is written at once.
const outBuffer = 64 << 10

// printTabs writes each row as it is made: nothing is aligned.
func printTabs[T any](w io.Writer, columns []Column[T], items []T, now time.Time) error {
	out := bufio.NewWriterSize(w, outBuffer)
	for _, it := range items {
		for i, c := range columns {
			if i > 0 {
				_ = out.WriteByte('\t') // Flush tells
			}
			_, _ = out.WriteString(c.cell(it, false, now).text)
		}
		_ = out.WriteByte('\n')
	}
	return out.Flush()
}

// shown returns the columns that a table of items has. In a pipe and with -o
// wide they do not depend on the items, so that scripts may count them.
func (l Listing[T]) shown(f Format, terminal bool, items []T) []Column[T] {
	var out []Column[T]
	for _, c := range l.Columns {
		says := func(it T) bool {
			if c.Time != nil {
				return !c.Time(it).IsZero()
			}
			v := c.Value(it)
			return v != "" && v != "-" && v != "0"
		}
		switch {
		case c.Wide && f.kind != wide:
		case c.Sparse && terminal && f.kind == table && !slices.ContainsFunc(items, says):
		default:
			out = append(out, c)
		}
	}
	return out
}

func (c Column[T]) cell(it T, terminal bool, now time.Time) cell {
	var out cell
	switch {
	case c.Time != nil && terminal:
		out.text = Ago(c.Time(it), now)
	case c.Time != nil:
		out.text = Absolute(c.Time(it))
	default:
		out.text = safe.Clean(c.Value(it))
	}
	if c.Style != nil {
		out.style = c.Style(it)
	}
	return out
}

// Value is a single thing with several faces: JSON from its struct tags, and
// Text for a table on a terminal or in a pipe.
type Value struct {
	JSON any
	Name string        // what -o name prints
	Text func(w *Text) // the form for people
}

// Print writes v to s.Out in the given format. The JSON form is an object.
func (v Value) Print(s *Streams, f Format) error {
	switch f.kind {
	case table, wide:
		t := &Text{style: s.OutStyle(), terminal: s.OutTerminal(), width: s.outWidth(), wide: f.kind == wide}
		v.Text(t)
		return writeString(s.Out, t.b.String())
	case nameOnly:
		return writeString(s.Out, safe.Clean(v.Name)+"\n")
	case jsonLines:
		return PrintLine(s, v.JSON)
	default:
		return printValue(s, f, v.JSON)
	}
}

// Text builds the form of a Value for people.
type Text struct {
	b        strings.Builder
	style    Styler
	terminal bool
	width    int
	wide     bool
}

// Line adds one line; the formatted text is sanitised.
func (t *Text) Line(format string, args ...any) { t.Styled(Normal, format, args...) }

// Styled is Line in a style.
func (t *Text) Styled(st Style, format string, args ...any) {
	t.b.WriteString(t.style.Apply(st, safe.Text(fmt.Sprintf(format, args...))) + "\n")
}

// fieldColumn is where the values of fields begin on a terminal.
const fieldColumn = 16

// Field adds a "label: value" line; on a terminal the values are aligned and
// wrapped to its width.
func (t *Text) Field(label string, st Style, format string, args ...any) {
	value := safe.Clean(fmt.Sprintf(format, args...))
	if !t.terminal {
		t.b.WriteString(safe.Clean(label) + "\t" + value + "\n")
		return
	}
	value = t.style.Apply(st, wrap(value, t.width, fieldColumn, fieldColumn))
	t.b.WriteString(pad(safe.Clean(label)+":", fieldColumn-1) + " " + value + "\n")
}

// Time renders a time for this text: relative on a terminal, else RFC 3339.
func (t *Text) Time(at, now time.Time) string {
	if t.terminal {
		return Ago(at, now)
	}
	return Absolute(at)
}

// Terminal reports whether it is for a person at a terminal.
func (t *Text) Terminal() bool { return t.terminal }

// Rows adds an aligned table (tab separated without header in a pipe).
func (t *Text) Rows(header []string, rows [][]string) {
	tt := tableText{terminal: t.terminal, style: t.style, width: t.width}
	if t.wide {
		tt.width = 0
	}
	for _, h := range header {
		tt.head = append(tt.head, cellHead{text: h})
	}
	for _, r := range rows {
		cells := make([]cell, len(r))
		for i, c := range r {
			cells[i] = cell{text: safe.Clean(c)}
		}
		tt.rows = append(tt.rows, cells)
	}
	t.b.WriteString(tt.render())
}

func writeString(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}
