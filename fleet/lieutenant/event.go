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
	KindStart    Kind = "start"     // agent_start: the lieutenant begins to work
	KindEnd      Kind = "end"       // agent_end: it stops working, done or not
	KindText     Kind = "text"      // message_update with text_delta: a piece of the answer
	KindMessage  Kind = "message"   // message_start of the lieutenant's: its next message begins
	KindWork     Kind = "work"      // any other sign of work on the answer
	KindTool     Kind = "tool"      // tool_execution_update: a tool is at work, perhaps beside an open question
	KindRetry    Kind = "retry"     // auto_retry_start: the run that ended last is to be tried again
	KindRetryEnd Kind = "retry_end" // auto_retry_end: that was of use, or no more tries follow
	KindCompact  Kind = "compact"   // compaction of its memory begins
	KindCompacts Kind = "compacted" // it ended, perhaps to try the last run again
	KindSettled  Kind = "settled"   // agent_settled: nothing follows the last agent_end by itself
	KindAsk      Kind = "ask"       // extension_ui_request that waits for an answer
	KindResponse Kind = "response"  // the answer to a command
	KindOther    Kind = "other"     // any other event
	KindGarbage  Kind = "garbage"   // not an event
	KindPart     Kind = "part"      // not yet an event: a piece of a line that is too long to be kept in whole
	KindReset    Kind = "reset"     // no line: the file was truncated or replaced, what follows is from its beginning
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

// parsed is an event with the delta still in its JSON form, between the quotes. JavaScript may cut a character that
// takes two \u escapes in half, between two deltas; only when they are joined in this form is it whole again.
type parsed struct {
	kind     Kind
	delta    []byte
	time     time.Time
	unclear  bool // the line is cut off before it said all that matters
	end      ending
	question *Question // of KindAsk
	fields   object    // of KindResponse
}

// parseLine reads one line, or of a line that is cut off its beginning and, for what stands there, its end. Something
// that was written in front of an event, by another process, is passed over.
func parseLine(line, tail []byte, cut bool) parsed {
	line = bytes.Trim(line, " \t\r\n\x00")
	o, ok := readEvent(line, cut)
	for !ok {
		if len(line) == 0 {
			return parsed{kind: KindGarbage, unclear: cut}
		}
		i := bytes.Index(line[1:], []byte(`{"type"`))
		if i < 0 {
			return parsed{kind: KindGarbage, unclear: cut}
		}
		line = line[1+i:]
		o, ok = readEvent(line, cut)
	}
	p := parsed{kind: KindOther, time: parseTime(o["timestamp"])}
	switch o.text("type") {
	case "agent_start":
		p.kind = KindStart
	case "agent_end":
		p.kind = KindEnd
		if p.end = endOfRun(o); cut {
			p.end = endInTail(tail)
		}
	case "auto_retry_start":
		p.kind, p.end = KindRetry, retryOf(o)
	case "auto_retry_end":
		p.kind, p.end = KindRetryEnd, ending{Failed: !o.bool("success"), Text: o.text("finalError")}
	case "auto_compaction_start", "compaction_start":
		p.kind = KindCompact
	case "auto_compaction_end", "compaction_end":
		p.kind, p.end = KindCompacts, ending{Again: o.bool("willRetry")}
	case "agent_settled":
		p.kind = KindSettled
	case "response":
		p.kind, p.fields = KindResponse, o
	case "extension_ui_request":
		if p.question = questionOf(o); p.question != nil {
			p.kind = KindAsk
		}
	case "tool_execution_update":
		p.kind = KindTool
	case "tool_execution_start", "tool_execution_end", "turn_start", "turn_end":
		p.kind = KindWork
	case "message_start":
		if message := cutObject(o["message"]); message.text("role") == "assistant" {
			p.kind = KindMessage
			p.setTime(message)
		}
	case "message_update":
		p.update(o, cut)
	}
	return p
}

// setTime takes the time of the message for that of the event, which usually has none.
func (p *parsed) setTime(message object) {
	if p.time.IsZero() {
		p.time = parseTime(message["timestamp"])
	}
}

// update reads a message_update.
func (p *parsed) update(o object, cut bool) {
	p.kind = KindWork
	p.setTime(cutObject(o["message"]))
	update := cutObject(o["assistantMessageEvent"])
	kind, delta := update.text("type"), update["delta"]
	switch isText := kind == "text_delta"; {
	case isText && len(delta) >= 2 && delta[0] == '"' && json.Valid(delta):
		p.kind, p.delta = KindText, delta[1:len(delta)-1]
	case cut:
		p.unclear = isText || kind == ""
	}
}

// readEvent reads an event; ok is false if the line is none.
func readEvent(line []byte, cut bool) (o object, ok bool) {
	if cut {
		o = cutObject(line)
		return o, o.text("type") != ""
	}
	err := json.Unmarshal(line, &o)
	return o, err == nil && o.text("type") != ""
}

// cutObject returns the fields of an object that may be cut off, the last of them as far as it goes.
func cutObject(text []byte) object {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	fields := object{}
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
