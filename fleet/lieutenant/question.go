package lieutenant

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Question is a dialog that an extension of the agent has opened, and that blocks the agent until it is answered.
type Question struct {
	ID      string        `json:"id"`                // names it in an answer
	Method  string        `json:"method"`            // select, confirm, input or editor
	Title   string        `json:"title"`             // as the agent wrote it, but bounded
	Message string        `json:"message,omitempty"` // likewise; of confirm only
	Options []string      `json:"options,omitempty"` // of select
	Timeout time.Duration `json:"-"`                 // after which the agent answers by itself; 0 = never
}

// The dialogs. Other methods of an extension_ui_request want no answer.
const (
	dialogSelect  = "select"
	dialogConfirm = "confirm"
	dialogInput   = "input"
	dialogEditor  = "editor"
)

// Bounds of a question.
const (
	maxQuestion = 4 << 10 // bytes of its text
	maxID       = 200
	maxOptions  = 200
)

// questionOf reads an extension_ui_request; nil if it wants no answer.
func questionOf(o object) *Question {
	q := Question{ID: o.text("id"), Method: o.text("method"), Title: clip(o.text("title"), maxQuestion), Message: clip(o.text("message"), maxQuestion)}
	if !slices.Contains([]string{dialogSelect, dialogConfirm, dialogInput, dialogEditor}, q.Method) || q.ID == "" || len(q.ID) > maxID {
		return nil
	}
	var options []lenient[string]
	if json.Unmarshal(o["options"], &options) == nil {
		for _, option := range options[:min(len(options), maxOptions)] {
			q.Options = append(q.Options, option.V)
		}
	}
	q.Timeout = time.Duration(min(max(o.number("timeout"), 0), 1e12)) * time.Millisecond
	return &q
}

// FindQuestion looks in the stream for the question with this id, answered or not. ErrNoQuestion means that it is not
// among the last events.
func (s *Stream) FindQuestion(ctx context.Context, id string) (q Question, err error) {
	found := false
	_, err = s.backward(ctx, 0, func(facts) { found = false }, func(l rawLine) bool {
		if bytes.Contains(l.text, []byte("extension_ui_request")) {
			if p := l.parse(); p.kind == KindAsk && p.question.ID == id {
				q, found = *p.question, true
			}
		}
		return !found && l.fetched < statusScan
	})
	if err == nil && !found {
		err = ErrNoQuestion
	}
	return q, err
}

// Line is the question in one line that is fit to be shown.
func (q Question) Line() string {
	text := oneLine(strings.TrimSpace(q.Title + " " + q.Message))
	if len(q.Options) > 0 {
		text += " (" + oneLine(strings.Join(q.Options, ", ")) + ")"
	}
	return text
}

// Reply is the message that answers the question with text: one of the options of a select, yes or no to a confirm. The
// error is ErrBadMessage.
func (q Question) Reply(text string) (Message, error) {
	m := Message{Type: UIResponse, ID: q.ID, Text: text}
	switch q.Method {
	case dialogConfirm:
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "yes", "y", "true":
			m.Text, m.Confirmed = "", new(true)
		case "no", "n", "false":
			m.Text, m.Confirmed = "", new(false)
		default:
			return m, fmt.Errorf("%w: the question wants yes or no: %s", ErrBadMessage, q.Line())
		}
	case dialogSelect:
		same := func(option string) bool { return strings.EqualFold(strings.TrimSpace(option), strings.TrimSpace(text)) }
		i := slices.Index(q.Options, text)
		if i < 0 {
			i = slices.IndexFunc(q.Options, same)
		}
		if i < 0 {
			return m, fmt.Errorf("%w: the question wants one of these: %s", ErrBadMessage, q.Line())
		}
		m.Text = q.Options[i]
	}
	return m, nil
}
