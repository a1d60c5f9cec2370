package lieutenant

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// Kind is what a line of the event stream is.
type Kind string

// The kinds. Lines of other types are KindOther, lines that are no event KindGarbage.
const (
	KindStart     Kind = "start"     // agent_start: the lieutenant begins to work
	KindEnd       Kind = "end"       // agent_end: the answer is complete, the lieutenant idle
	KindText      Kind = "text"      // message_update with text_delta: a piece of the answer
	KindResponse  Kind = "response"  // the answer to a command
	KindOther     Kind = "other"     // any other event
	KindGarbage   Kind = "garbage"   // not an event
	KindOversized Kind = "oversized" // longer than maxLine; its content was passed over
	KindReset     Kind = "reset"     // no line: the file was truncated or replaced, what follows is from its beginning
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 4 << 20

// Event is one line of the stream.
type Event struct {
	Kind   Kind
	Text   string    // of KindText, as the lieutenant wrote it: not sanitized
	Time   time.Time // if the event says so
	Raw    []byte    // the line without its newline; nil if oversized; valid until the callback returns
	Offset int64     // where the line begins
	Next   int64     // where the next one begins
}

// wire is what is read of an event. Fields of the wrong type count as missing.
type wire struct {
	Type      string          `json:"type"`
	Timestamp json.RawMessage `json:"timestamp"`
	Message   lenient[struct {
		Timestamp json.RawMessage `json:"timestamp"`
	}] `json:"message"`
	Update lenient[struct {
		Type  string          `json:"type"`
		Delta json.RawMessage `json:"delta"`
	}] `json:"assistantMessageEvent"`
}

// lenient is a field whose wrong type does not spoil the whole event.
type lenient[T any] struct{ V T }

func (l *lenient[T]) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &l.V) != nil {
		l.V = *new(T)
	}
	return nil
}

// parsed is an event with the delta still in its JSON form, between the quotes. JavaScript may cut a character that
// takes two \u escapes in half, between two deltas; only when they are joined in this form is it whole again.
type parsed struct {
	kind  Kind
	delta []byte
	time  time.Time
}

// interesting reports whether a line can matter for answers, without parsing it.
func interesting(line []byte) bool {
	return bytes.Contains(line, []byte("text_delta")) || bytes.Contains(line, []byte("agent_start")) ||
		bytes.Contains(line, []byte("agent_end"))
}

// parseLine reads one line. Something that was written in front of an event, by another process, is passed over.
func parseLine(line []byte) parsed {
	var w wire
	line = bytes.Trim(line, " \t\r\x00")
	for json.Unmarshal(line, &w) != nil || w.Type == "" {
		if len(line) == 0 {
			return parsed{kind: KindGarbage}
		}
		i := bytes.Index(line[1:], []byte(`{"type"`))
		if i < 0 {
			return parsed{kind: KindGarbage}
		}
		line, w = line[1+i:], wire{}
	}
	p := parsed{kind: KindOther, time: parseTime(w.Timestamp)}
	if p.time.IsZero() {
		p.time = parseTime(w.Message.V.Timestamp)
	}
	switch w.Type {
	case "agent_start":
		p.kind = KindStart
	case "agent_end":
		p.kind = KindEnd
	case "response":
		p.kind = KindResponse
	case "message_update":
		if d := w.Update.V.Delta; w.Update.V.Type == "text_delta" && len(d) >= 2 && d[0] == '"' {
			p.kind, p.delta = KindText, d[1:len(d)-1]
		}
	}
	return p
}

// unquote turns joined deltas into text.
func unquote(deltas []byte) string {
	var s string
	quoted := append(append([]byte{'"'}, deltas...), '"')
	if json.Unmarshal(quoted, &s) != nil {
		return "" // cannot be: each was a valid JSON string
	}
	return s
}

// splitHigh separates a first half of a character at the end of a delta.
func splitHigh(delta []byte) (whole, half []byte) {
	n := len(delta)
	if n < 6 || delta[n-6] != '\\' || delta[n-5] != 'u' || delta[n-4]|0x20 != 'd' ||
		!strings.ContainsRune("89abAB", rune(delta[n-3])) {
		return delta, nil
	}
	slashes := 0 // an even number of backslashes before would make this "\\" and "ud83d"
	for i := n - 7; i >= 0 && delta[i] == '\\'; i-- {
		slashes++
	}
	if slashes%2 == 1 {
		return delta, nil
	}
	return delta[:n-6], delta[n-6:]
}
