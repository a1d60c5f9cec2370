package ui

import "strings"

// leastWrap is the narrowest text that is still worth wrapping; on a narrower
// terminal lines break where the terminal breaks them.
const leastWrap = 24

// Wrap breaks clean text at spaces into lines of at most width columns.
func Wrap(text string, width int) string { return wrap(text, width, 0, 0) }

// wrap breaks clean text at spaces so that it fits width columns. The text
// starts at column first, further lines at column indent. A word that is too
// long, such as a path, stays in one piece so that it can be copied. Newlines
// stay; a width of 0 is no terminal and changes nothing.
func wrap(text string, width, first, indent int) string {
	if width == 0 || width-indent < leastWrap || first+Width(text) <= width && !strings.Contains(text, "\n") {
		return text
	}
	var b strings.Builder
	column := first
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
			column = 0
		}
		for j, word := range strings.Split(line, " ") {
			w := Width(word)
			switch {
			case j == 0:
			case column+1+w > width && column > indent:
				b.WriteString("\n" + strings.Repeat(" ", indent))
				column = indent
			default:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += w
		}
	}
	return b.String()
}
