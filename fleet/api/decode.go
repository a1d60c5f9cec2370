package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// decodeError says that an answer is no answer to the question.
type decodeError struct {
	kind   Kind
	detail string
}

func (e *decodeError) Error() string { return e.kind.String() + ": " + e.detail }

func notVers(detail string) error { return &decodeError{KindNotVers, detail} }

func mismatch(detail string) error { return &decodeError{KindMismatch, detail} }

// decode reads one JSON value and nothing behind it.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return notVers("an empty answer")
	}
	if !shallow(body, maxDepth) {
		return notVers("nested too deeply")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	switch err := d.Decode(into); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &decodeError{kind: KindTruncated}
	case err != nil:
		if s, ok := errors.AsType[*decodeError](err); ok {
			return s
		}
		return notVers("not the JSON expected")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return notVers("something follows the JSON")
	}
	return nil
}

// decodeObject is decode for an object; null, lists and the like are refused.
func decodeObject(body []byte, into any) error {
	if b := bytes.TrimSpace(body); len(b) > 0 && b[0] != '{' {
		return notVers("not the JSON expected")
	}
	return decode(body, into)
}

// list is a JSON array whose elements are read one by one, so that a bad one
// does not spoil the others, and whose length is bounded while it is read.
type list []json.RawMessage

var errTooMany = &decodeError{KindTooLarge, fmt.Sprintf("more than %d entries", maxElements)}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *list) UnmarshalJSON(b []byte) error {
	*l = list{}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return notVers("not a list")
	}
	for d.More() {
		if len(*l) == maxElements {
			return errTooMany
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		*l = append(*l, raw)
	}
	return nil
}

// decodeList is decode for an array.
func decodeList(body []byte) (list, error) {
	if b := bytes.TrimSpace(body); len(b) > 0 && b[0] != '[' {
		return nil, notVers("not the list expected")
	}
	var l list
	err := decode(body, &l)
	return l, err
}

// text is a JSON string; any other value reads as the empty one, so that an odd
// field does not cost the rest.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = ""
	}
	*t = text(s)
	return nil
}

// id returns t as a valid id, or empty.
func (t text) id() string {
	id, _ := normalizeID(string(t))
	return id
}

// line returns t as one printable line.
func (t text) line() string { return clean(string(t), maxText) }

// maxText bounds names, descriptions and label values, in runes.
const maxText = 4096

// time reads t. RFC 3339 is what the document promises; the others are what
// databases print when somebody forgot to format.
func (t text) time() (time.Time, bool) {
	s := strings.TrimSpace(string(t))
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999-07", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// ValidID reports whether s is an id in the only form that may reach a path or
// a host name: a lower-case UUID with dashes.
func ValidID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// normalizeID returns s as a valid id, accepting capital letters and
// surrounding space, and whether it is one.
func normalizeID(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if !ValidID(s) {
		return "", false
	}
	return s, true
}

// maxWarnings bounds the warnings about one answer.
const maxWarnings = 5

// warnings collects what was left out of one answer.
type warnings struct {
	a     *attempt
	lines []string
	more  int
}

func (n *warnings) add(format string, args ...any) {
	if len(n.lines) == maxWarnings {
		n.more++
		return
	}
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// flush hands the warnings to the caller's Warn.
func (n *warnings) flush() {
	if n.more > 0 {
		n.lines = append(n.lines, fmt.Sprintf("and %d more such warnings", n.more))
	}
	for _, line := range n.lines {
		n.a.c.cfg.Warn(n.a.clean(n.a.req.op + ": " + line))
	}
}

// shown is foreign text inside a warning.
func shown(t text) string { return `"` + clean(string(t), 60) + `"` }
