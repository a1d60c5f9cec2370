package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// shapeError says that an answer is no answer to the question.
type shapeError struct {
	kind   Kind
	detail string
}

func (e *shapeError) Error() string { return e.kind.String() + ": " + e.detail }

func unlike(detail string) error { return &shapeError{KindNotVers, detail} }

func mismatch(detail string) error { return &shapeError{KindMismatch, detail} }

// decode reads one JSON value and nothing behind it.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return unlike("an empty answer")
	}
	if !shallow(body, maxDepth) {
		return unlike("nested too deeply")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	switch err := d.Decode(into); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &shapeError{kind: KindTruncated}
	case err != nil:
		if s, ok := errors.AsType[*shapeError](err); ok {
			return s
		}
		return unlike("not the JSON expected")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return unlike("something follows the JSON")
	}
	return nil
}

// decodeObject is decode for an object; null, lists and the like are refused.
func decodeObject(body []byte, into any) error {
	if b := bytes.TrimSpace(body); len(b) > 0 && b[0] != '{' {
		return unlike("not the JSON expected")
	}
	return decode(body, into)
}

// list is a JSON array whose elements are read one by one, so that a bad one
// does not spoil the others, and whose length is bounded while it is read.
type list []json.RawMessage

var errTooMany = &shapeError{KindTooLarge, fmt.Sprintf("more than %d entries", maxElements)}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *list) UnmarshalJSON(b []byte) error {
	*l = list{}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return unlike("not a list")
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
		return nil, unlike("not the list expected")
	}
	var l list
	err := decode(body, &l)
	return l, err
}
