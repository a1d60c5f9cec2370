package sshconn

import (
	"bytes"
	"io"
	"os"
)

// input is a stdin whose reading can be stopped. After stop has returned, no
// further byte is taken from it, if the platform and the reader allow it.
type input interface {
	io.Reader
	stop()
}

// newInput wraps a command's stdin; nil is empty.
func newInput(r io.Reader) input {
	if r == nil {
		return plainInput{bytes.NewReader(nil)}
	}
	if f, ok := r.(*os.File); ok {
		if in, err := newFileInput(f); err == nil {
			return in
		}
	}
	return plainInput{r}
}

// plainInput cannot be stopped.
type plainInput struct{ io.Reader }

func (plainInput) stop() {}
