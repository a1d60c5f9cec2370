package ui

import (
	"io"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// ErrorView is an error as it is shown. Its JSON form is the one promised to
// scripts; field names and order are stable.
type ErrorView struct {
	Kind      string `json:"kind"`
	Message   string `json:"message"`
	Why       string `json:"why"`
	Next      string `json:"next"`
	Origin    string `json:"origin"` // api, ssh, remote or local
	Retryable bool   `json:"retryable"`
	ExitCode  int    `json:"exit_code"`
}

// ShowError renders v on Err: one JSON object on one line if asJSON, else
// what happened, why, and what to do next on a line each.
func (s *Streams) ShowError(v ErrorView, asJSON bool) {
	s.display.clear()
	if asJSON {
		if b, err := encode(map[string]ErrorView{"error": v}, "", ""); err == nil {
			_, _ = s.Err.Write(append(b, '\n'))
			return
		}
	}
	_, _ = io.WriteString(s.Err, s.errorText(v))
}

func (s *Streams) errorText(v ErrorView) string {
	st := s.ErrStyle()
	var b strings.Builder
	width := s.errWidth()
	b.WriteString(st.Apply(Bad, "vers-fleet:") + " " + wrap(safe.Text(v.Message), width, len("vers-fleet: "), 2) + "\n")
	if v.Why != "" {
		b.WriteString(st.Apply(Faint, "  why:") + "  " + indent(v.Why, width) + "\n")
	}
	if v.Next != "" {
		b.WriteString(st.Apply(Strong, "  next:") + " " + indent(v.Next, width) + "\n")
	}
	return b.String()
}

// indent keeps the further lines of a field under its first.
func indent(s string, width int) string {
	const column = len("  next: ")
	lines := strings.Split(strings.TrimRight(safe.Text(s), "\n"), "\n")
	for i, l := range lines {
		lines[i] = wrap(l, width, column, column)
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", column))
}
