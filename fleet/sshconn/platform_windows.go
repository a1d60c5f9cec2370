package sshconn

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

// resizePoll is how often the console's size is looked at: Windows has no
// signal for it.
const resizePoll = 500 * time.Millisecond

type resizeSignal struct{}

func (resizeSignal) String() string { return "resize" }
func (resizeSignal) Signal()        {}

func (t *terminal) size() windowSize {
	w, h, err := term.GetSize(t.sizeFD)
	if err != nil {
		return windowSize{}
	}
	return windowSize{Columns: uint32(w), Rows: uint32(h)}
}

// prepareOutput makes the console obey escape codes.
func (t *terminal) prepareOutput() (undo func()) {
	if t.out == nil {
		return func() {}
	}
	h := windows.Handle(t.sizeFD)
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return func() {}
	}
	_ = windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	return func() { _ = windows.SetConsoleMode(h, mode) }
}

func watchSignals() (c chan os.Signal, stop func()) {
	c = make(chan os.Signal, 8)
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(resizePoll)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				select {
				case c <- resizeSignal{}:
				default:
				}
			}
		}
	}()
	return c, func() { close(done) }
}

func isResize(s os.Signal) bool   { return s == resizeSignal{} }
func isContinue(os.Signal) bool   { return false }
func suspendSelf()                {}
func (t *terminal) modes() []byte { return []byte{0} }

func isInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

// newFileInput is not possible here: a console read cannot be interrupted.
func newFileInput(*os.File) (input, error) { return nil, errors.ErrUnsupported }

// DiscardTyped does nothing here.
func DiscardTyped(io.Reader) {}
