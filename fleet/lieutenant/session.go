package lieutenant

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Sessions are the session files that a lieutenant has named: JSON lines with its whole history, which outlive the
// event stream.
type Sessions struct {
	Files  []string `json:"files,omitempty"`  // oldest first
	Stream uint64   `json:"stream,omitempty"` // inode of the event stream of the agent that named the last one
}

// maxSessions is how many session files are remembered and read: each is an agent's life. maxBeside is how many names of
// them are listened to.
const (
	maxSessions = 16
	maxBeside   = 10_000
)

// History returns what q selects from the event stream and, as far as that does not have it, from the session files,
// without repeats. known are those that were named before; the ones known now are returned. An agent whose session is
// not known is asked for it, if it runs. ErrNoLieutenant means that there is neither a stream nor a session file.
func (s *Stream) History(ctx context.Context, q Query, known Sessions) (Answers, Sessions, error) {
	a, err := s.Answers(ctx, q)
	gone := errors.Is(err, ErrNoLieutenant)
	if err != nil && !gone || a.has(q) {
		return a, known, err
	}
	if !gone && known.Stream != a.end.Inode {
		file, err := s.sessionFile(ctx)
		if ctx.Err() != nil {
			return a, known, ctx.Err()
		}
		if err == nil { // else nobody is there to be asked, and what is known will do
			known = known.with(file, a.end.Inode)
		}
	}
	found := false
	q.before = a.first // what the stream tells of is the stream's, finished or not
	for _, file := range slices.Backward(s.sessionsOf(ctx, known)) {
		older, err := s.session(ctx, q, file)
		if errors.Is(err, ErrNoLieutenant) { // a session has its file when it has its first answer
			continue
		}
		if err != nil {
			return a, known, err
		}
		found = true
		if len(a.List) == 0 {
			a.Failed = cmp.Or(a.Failed, older.Failed)
		}
		a.List, a.Cut, a.enough = Join(older.List, a.List), a.Cut || older.Cut, older.enough
		if a.has(q) {
			break
		}
	}
	if q.Last > 0 && len(a.List) > q.Last {
		a.List = a.List[len(a.List)-q.Last:]
	}
	if gone && !found {
		return a, known, ErrNoLieutenant
	}
	return a, known, nil
}

// sessionsOf are the session files of a lieutenant, oldest first: those that were named, and what lies beside the last of
// them, because an agent that nobody asked has named none. Their names begin with their time.
func (s *Stream) sessionsOf(ctx context.Context, known Sessions) []string {
	if len(known.Files) == 0 {
		return nil
	}
	folder := path.Dir(known.Files[len(known.Files)-1])
	var beside []string
	err := run(ctx, s.Conn, "listing the session files", safe.Script(besideScript, folder), nil, func(r io.Reader) error {
		for br := bufio.NewReader(r); ; {
			word, name, err := answer(br)
			if err != nil {
				return nil // the end
			}
			if word == "file" && len(beside) < maxBeside {
				beside = append(beside, path.Join(folder, path.Base(name)))
			}
		}
	})
	if err != nil {
		return known.Files
	}
	slices.Sort(beside)
	others := slices.DeleteFunc(slices.Clone(known.Files), func(f string) bool { return slices.Contains(beside, f) })
	return append(others, beside[max(0, len(beside)-maxSessions):]...)
}

// has reports whether there is no need to look for older answers elsewhere.
func (a Answers) has(q Query) bool {
	return a.enough || q.Last > 0 && len(a.List) >= q.Last && !a.List[0].Damaged
}

// with adds the file that the agent with this stream has named, "" if it keeps none.
func (k Sessions) with(file string, stream uint64) Sessions {
	k.Stream = stream
	if file != "" {
		k.Files = append(slices.DeleteFunc(slices.Clone(k.Files), func(f string) bool { return f == file }), file)
	}
	k.Files = k.Files[max(0, len(k.Files)-maxSessions):]
	return k
}

// Join puts answers behind older ones from another source, of which the last may be the same. What was said when tells
// them apart and, where the events do not tell, the texts do.
func Join(older, newer []Answer) []Answer {
	if len(newer) == 0 {
		return older
	}
	at := newer[0].Started
	same := slices.IndexFunc(older, func(a Answer) bool {
		return !at.IsZero() && !a.Started.IsZero() && (!a.Started.Before(at) || !a.Ended.Before(at))
	})
	if same >= 0 && newer[0].Damaged && older[same].Started.Before(at) && !older[same].Damaged {
		newer = append([]Answer{older[same]}, newer[1:]...) // whole, where the stream has lost its beginning
	}
	if same < 0 {
		same = sameFrom(older, newer)
	}
	return append(slices.Clone(older[:same]), newer...)
}

// sameFrom is where older begins to be the same as newer, by the texts.
func sameFrom(older, newer []Answer) int {
	for k := 0; k+len(older) <= len(newer); k++ {
		if slices.EqualFunc(older, newer[k:k+len(older)], sameText) {
			return 0
		}
	}
	for i := max(0, len(older)-len(newer)); i < len(older); i++ {
		if slices.EqualFunc(older[i:], newer[:len(older)-i], sameText) {
			return i
		}
	}
	return len(older)
}

// sameText reports whether two answers of which one has no time are the same.
func sameText(a, b Answer) bool {
	return a.Text == b.Text && (a.Started.IsZero() || b.Started.IsZero())
}

// session reads answers from a session file.
func (s *Stream) session(ctx context.Context, q Query, file string) (Answers, error) {
	of := &Stream{Conn: s.Conn, paths: paths{in: file, out: file, session: s.paths.withDefaults().session},
		whole: func(head []byte) bool { return readMessage(head, true).role == "assistant" }}
	var c *sessionCollector
	_, err := of.backward(ctx, 0, func(facts) { c = &sessionCollector{collector: collector{q: q}} }, func(l rawLine) bool { return c.line(l) })
	if err != nil {
		return Answers{}, err
	}
	c.finishAnswer(0, true)
	slices.Reverse(c.list)
	return Answers{List: c.list, Cut: c.cut, Failed: c.failed, enough: c.full}, nil
}

// message is one message of a session file.
type message struct {
	role    string // "" = the line is none
	text    string
	stop    string
	why     string
	time    time.Time
	damaged bool
}

// readMessage reads a line of a session file, or of a line that is cut off its beginning.
func readMessage(line []byte, cut bool) message {
	o, ok := readEvent(bytes.TrimSpace(line), cut)
	if !ok || o.text("type") != "message" {
		return message{}
	}
	fields := cutObject(o["message"])
	m := message{role: fields.text("role"), stop: fields.text("stopReason"), why: fields.text("errorMessage"), time: parseTime(fields["timestamp"]), damaged: cut}
	if m.time.IsZero() {
		m.time = parseTime(o["timestamp"])
	}
	if m.role != "assistant" {
		return m
	}
	var blocks []lenient[struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}]
	if json.Unmarshal(fields["content"], &blocks) != nil {
		m.text = fields.text("content")
	}
	for _, b := range blocks {
		if b.V.Type == "text" {
			m.text += b.V.Text
		}
	}
	return m
}

// sessionCollector puts answers together from the lines of a session file, from the last to the first: what the agent
// said from one message of the user's to the next.
type sessionCollector struct {
	collector
	texts []string // of the open answer, in reverse order
}

func (c *sessionCollector) line(l rawLine) bool {
	m := readMessage(l.text, l.cut)
	switch {
	case m.role == "user":
		return c.finishAnswer(l.offset, false)
	case m.role != "assistant":
		return true
	case c.open == nil:
		c.open = &Answer{Complete: m.stop != "toolUse", Ended: m.time}
		if m.stop == "error" {
			c.open.Failed = ending{Text: m.why}.why()
		}
	case m.stop == "error": // it was tried again, and the agent forgot this
		m.text = ""
	}
	c.open.began(m.time)
	c.open.Damaged = c.open.Damaged || m.damaged
	if m.text == "" {
		return true
	}
	if c.size += len(m.text); c.size > maxText {
		c.open.Damaged = true
		return true
	}
	c.texts = append(c.texts, m.text)
	return true
}

// finishAnswer closes the open answer, and reports whether more are wanted.
func (c *sessionCollector) finishAnswer(offset int64, headless bool) bool {
	slices.Reverse(c.texts)
	text := strings.Join(c.texts, "")
	c.texts = nil
	return c.close(text, offset, headless)
}
