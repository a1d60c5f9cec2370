package lieutenant

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// MessageType is the type of a command to a lieutenant.
type MessageType string

// The commands. The last three take no text.
const (
	Prompt     MessageType = "prompt"                // a new task
	Steer      MessageType = "steer"                 // a hint while it works
	FollowUp   MessageType = "follow_up"             // what to do when it is done
	UIResponse MessageType = "extension_ui_response" // the answer to a Question, made by Question.Reply
	Abort      MessageType = "abort"                 // to stop what it is doing
	GetState   MessageType = "get_state"             // asks for a response event
	GetStats   MessageType = "get_session_stats"     // likewise
)

// Message is one command to a lieutenant.
type Message struct {
	Type      MessageType
	Text      string
	ID        string // of a UIResponse the question's; else it comes back in the response
	Confirmed *bool  // of a UIResponse to a confirm, instead of Text
}

// defaultSendWait is how long the VM waits for the FIFO's reader, in seconds. A lieutenant reads all the time.
const defaultSendWait = 5

// maxMessage is the longest text sent, in bytes: the FIFO passes it on in small pieces, and nobody types a megabyte.
const maxMessage = 1 << 20

// Errors of messages that are not sent.
var (
	ErrBadMessage = errors.New("message cannot be sent")
	errNoTimeout  = errors.New("the VM has no timeout command, without which a message could wait for ever")
)

func (m Message) line() ([]byte, error) {
	reason := ""
	switch wordless := m.Type == Abort || m.Type == GetState || m.Type == GetStats; {
	case !wordless && m.Type != Prompt && m.Type != Steer && m.Type != FollowUp && m.Type != UIResponse:
		reason = fmt.Sprintf("unknown type %q", string(m.Type))
	case wordless && m.Text != "":
		reason = string(m.Type) + " takes no text"
	case !wordless && m.Text == "" && m.Confirmed == nil:
		reason = "the text is empty"
	case m.Type == UIResponse && m.ID == "":
		reason = "it is not said which question it answers"
	case len(m.Text) > maxMessage:
		reason = fmt.Sprintf("the text has %d bytes, at most %d are possible", len(m.Text), maxMessage)
	case !utf8.ValidString(m.Text):
		reason = "the text is not valid UTF-8"
	}
	if reason != "" {
		return nil, fmt.Errorf("%w: %s", ErrBadMessage, reason)
	}
	wire := struct {
		Type      MessageType `json:"type"`
		ID        string      `json:"id,omitempty"`
		Text      string      `json:"message,omitempty"`
		Value     string      `json:"value,omitempty"`
		Confirmed *bool       `json:"confirmed,omitempty"`
	}{Type: m.Type, ID: m.ID, Text: m.Text, Confirmed: m.Confirmed}
	if m.Type == UIResponse {
		wire.Text, wire.Value = "", m.Text
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(wire)
	return b.Bytes(), err
}

// Send writes one command to the lieutenant's FIFO. It returns nil when the lieutenant's process has taken it.
// ErrNoReader means that nobody reads the FIFO, and nothing was written; ErrPartialWrite that the reader stopped in the
// middle; ErrStdin that .bashrc took the command from the VM's stdin, and nothing was written; ErrDeliveryUnknown that the connection was lost before it was certain, so that sending again may say it twice.
// It does not wait longer than some seconds on the VM.
func (s *Stream) Send(ctx context.Context, m Message) error {
	line, err := m.line()
	if err != nil {
		return err
	}
	p := s.paths.withDefaults()
	said := map[string]bool{}
	err = run(ctx, s.Conn, "sending to the lieutenant", safe.Script(sendScript, p.in, p.session, strconv.Itoa(cmp.Or(s.sendWait, defaultSendWait))), strings.NewReader(safe.Prelude+string(line)), func(r io.Reader) error {
		br := bufio.NewReader(r)
		for {
			word, _, err := answer(br)
			if err != nil {
				return nil // the end; what was said decides
			}
			said[word] = true
		}
	})
	switch {
	case said["sent"]:
		return nil
	case said["none"]:
		return ErrNoLieutenant
	case said["nobody"]:
		return ErrNoReader
	case said["notimeout"]:
		return errNoTimeout
	case said["eaten"]:
		return ErrStdin
	case said["opened"] && said["done"]:
		return ErrPartialWrite
	case said["done"]:
		return ErrNoReader
	case exited(err) && !said["opened"]:
		return err
	}
	return errors.Join(ErrDeliveryUnknown, err)
}

// exited reports whether err says that the command itself ended, as opposed to the connection.
func exited(err error) bool {
	var status interface{ ExitStatus() int }
	return errors.As(err, &status)
}
