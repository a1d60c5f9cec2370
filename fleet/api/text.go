package api

import (
	"encoding/json"
	"strings"
	"time"
)

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

// flag is a JSON true; any other value reads as false.
type flag bool

// UnmarshalJSON implements [json.Unmarshaler].
func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true"
	return nil
}

// id returns t as a valid id, or empty.
func (t text) id() string {
	id, _ := NormalizeID(string(t))
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
