package lieutenant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// How long the response to a command is waited for. The agent answers at once, also while it works.
const (
	askTimeout  = 10 * time.Second // for what it says
	tellTimeout = 3 * time.Second  // for whether it takes the command, which it has by then
)

// Stats is what a lieutenant has used in its present session.
type Stats struct {
	UserMessages, AssistantMessages, ToolCalls, Messages int
	Input, Output, CacheRead, CacheWrite, Tokens         int64   // tokens; Tokens is all of them
	Cost                                                 float64 // in dollars
}

// Stats asks the lieutenant what it has used. The errors are those of Send, ErrNoResponse and ErrRefused.
func (s *Stream) Stats(ctx context.Context) (Stats, error) {
	data, err := s.ask(ctx, Message{Type: GetStats}, askTimeout)
	if err != nil {
		return Stats{}, err
	}
	tokens := cutObject(data["tokens"])
	count := func(o object, key string) int64 { return int64(o.number(key)) }
	return Stats{
		UserMessages: int(count(data, "userMessages")), AssistantMessages: int(count(data, "assistantMessages")),
		ToolCalls: int(count(data, "toolCalls")), Messages: int(count(data, "totalMessages")),
		Input: count(tokens, "input"), Output: count(tokens, "output"), CacheRead: count(tokens, "cacheRead"),
		CacheWrite: count(tokens, "cacheWrite"), Tokens: count(tokens, "total"), Cost: data.number("cost"),
	}, nil
}

// maxPath is the longest name of a session file that is believed, in bytes.
const maxPath = 4096

// sessionFile asks the lieutenant for the file with its whole history; "" if it keeps none.
func (s *Stream) sessionFile(ctx context.Context) (string, error) {
	data, err := s.ask(ctx, Message{Type: GetState}, askTimeout)
	file := data.text("sessionFile")
	if err != nil || !path.IsAbs(file) || len(file) > maxPath || strings.ContainsAny(file, "\x00\n") {
		return "", err
	}
	return file, nil
}

// Tell sends a command as Send does, and says whether the lieutenant takes it: ErrRefused, as of a prompt while it works,
// says why not. One that does not respond has taken it.
func (s *Stream) Tell(ctx context.Context, m Message) error {
	if m.Type == UIResponse { // has no response
		return s.Send(ctx, m)
	}
	_, err := s.ask(ctx, m, tellTimeout)
	if _, delivered := errors.AsType[unheardError](err); delivered && ctx.Err() == nil {
		return nil
	}
	return err
}

// unheardError is why the response to a command that was delivered did not come.
type unheardError struct{ error }

// Unwrap returns the reason.
func (e unheardError) Unwrap() error { return e.error }

// ask sends a command and returns the data of the response to it.
func (s *Stream) ask(ctx context.Context, m Message, wait time.Duration) (object, error) {
	if _, err := m.line(); err != nil {
		return nil, err
	}
	from, err := s.backward(ctx, 0, func(facts) {}, func(rawLine) bool { return false })
	if err != nil {
		return nil, err
	}
	id := "vers-fleet-" + rand.Text()
	m.ID = id
	if err := s.Send(ctx, m); err != nil {
		return nil, err
	}
	limited, stop := context.WithTimeout(ctx, wait)
	defer stop()
	var response object
	err = s.Follow(limited, FollowOptions{From: from}, func(e Event) error {
		if e.Kind != KindResponse || !bytes.Contains(e.Raw, []byte(id)) {
			return nil
		}
		if p := parseLine(e.Raw, nil, false); p.fields.text("id") == id {
			response = p.fields
			return errStopped
		}
		return nil
	})
	switch {
	case response == nil && ctx.Err() == nil && limited.Err() != nil:
		return nil, unheardError{ErrNoResponse}
	case response == nil:
		return nil, unheardError{err}
	case !response.bool("success"):
		return nil, fmt.Errorf("%w: %s", ErrRefused, oneLine(response.text("error")))
	}
	var data object
	_ = json.Unmarshal(response["data"], &data) // without any, nothing is known
	return data, nil
}
