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
	KindStart    Kind = "start"    // agent_start: the lieutenant begins to work
	KindEnd      Kind = "end"      // agent_end: the answer is complete, the lieutenant idle
	KindText     Kind = "text"     // message_update with text_delta: a piece of the answer
	KindResponse Kind = "response" // the answer to a command
	KindOther    Kind = "other"    // any other event
	KindGarbage  Kind = "garbage"  // not an event
	KindPart     Kind = "part"     // not yet an event: a piece of a line that is too long to be kept in whole
	KindReset    Kind = "reset"    // no line: the file was truncated or replaced, what follows is from its beginning
)

// maxLine is the longest line that is kept in whole, in bytes. An agent_end carries all messages of a run, images too,
// and can be far longer; what it is stands at its beginning.
const maxLine = 4 << 20

// Event is one line of the stream.
type Event struct {
	Kind   Kind
	Text   string    // of KindText, as the lieutenant wrote it: not sanitized
	Time   time.Time // if the event says so
	Raw    []byte    // the line with its newline, or what of it no KindPart had before; valid until the callback returns
	Offset int64     // where the line begins
	Next   int64     // behind the last byte of Raw
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
	kind    Kind
	delta   []byte
	time    time.Time
	unclear bool // the line is cut off before it said all that matters
}

// interesting reports whether a line can matter for answers, without parsing it.
func interesting(line []byte) bool {
	return bytes.Contains(line, []byte("text_delta")) || bytes.Contains(line, []byte("agent_start")) ||
		bytes.Contains(line, []byte("agent_end"))
}

// parseLine reads one line, or of a line that is cut off its beginning. Something that was written in front of an
// event, by another process, is passed over.
func parseLine(line []byte, cut bool) parsed {
	line = bytes.Trim(line, " \t\r\n\x00")
	w, ok := readWire(line, cut)
	for !ok {
		if len(line) == 0 {
			return parsed{kind: KindGarbage, unclear: cut}
		}
		i := bytes.Index(line[1:], []byte(`{"type"`))
		if i < 0 {
			return parsed{kind: KindGarbage, unclear: cut}
		}
		line = line[1+i:]
		w, ok = readWire(line, cut)
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
		d := w.Update.V.Delta
		switch isText := w.Update.V.Type == "text_delta"; {
		case isText && len(d) >= 2 && d[0] == '"':
			p.kind, p.delta = KindText, d[1:len(d)-1]
		case cut:
			p.unclear = isText || w.Update.V.Type == ""
		}
	}
	return p
}

// readWire reads an event; ok is false if the line is none.
func readWire(line []byte, cut bool) (w wire, ok bool) {
	if !cut {
		err := json.Unmarshal(line, &w)
		return w, err == nil && w.Type != ""
	}
	fields := cutObject(line)
	_ = json.Unmarshal(fields["type"], &w.Type) // what is not there stays empty
	w.Timestamp = fields["timestamp"]
	w.Message.V.Timestamp = cutObject(fields["message"])["timestamp"]
	update := cutObject(fields["assistantMessageEvent"])
	_ = json.Unmarshal(update["type"], &w.Update.V.Type)
	if json.Valid(update["delta"]) {
		w.Update.V.Delta = update["delta"]
	}
	return w, w.Type != ""
}

// cutObject returns the fields of an object that may be cut off, the last of them as far as it goes.
func cutObject(text []byte) map[string]json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return fields
		}
		at := d.InputOffset()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			fields[name] = bytes.TrimLeft(text[at:], ": \t\r\n")
			return fields
		}
		fields[name] = value
	}
	return fields
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
