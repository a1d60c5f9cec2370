package ui

// Style is how a piece of text looks on a terminal. The set is small and uses
// only the sixteen colours of the terminal's own theme, so that it reads well
// on light and on dark backgrounds.
type Style int

// The styles and what they mean.
const (
	Normal Style = iota
	Good         // green: healthy, done
	Notice       // magenta: degraded; yellow cannot be read on white
	Bad          // red: failed, gone
	Faint        // details
	Strong       // names, headers
)

// Styler applies styles, or leaves the text alone where colour is not allowed.
type Styler struct{ on bool }

// Apply returns text in the given style. The text must be clean already.
func (st Styler) Apply(s Style, text string) string {
	if !st.on || s == Normal || text == "" {
		return text
	}
	return "\x1b[" + s.sgr() + "m" + text + "\x1b[0m"
}

// sgr is the "select graphic rendition" parameter (ECMA-48 8.3.117).
func (s Style) sgr() string {
	switch s {
	case Good:
		return "32"
	case Notice:
		return "35"
	case Bad:
		return "31"
	case Faint:
		return "2"
	case Strong:
		return "1"
	default:
		return "0"
	}
}
