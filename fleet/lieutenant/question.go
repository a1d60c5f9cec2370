package lieutenant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Question is a dialog that an extension of the agent has opened, and that blocks the agent until it is answered.
type Question struct {
	ID      string        // names it in an answer
	Method  string        // select, confirm, input or editor
	Title   string        // as the agent wrote it, but bounded
	Message string        // likewise; of confirm only
	Options []string      // of select
	Timeout time.Duration // after which the agent answers by itself; 0 = never
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
