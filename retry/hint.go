package retry

import (
	"errors"
	"time"
)

// Hint is what an error says about trying again. The zero Hint means: do not.
type Hint struct {
	Transient bool          // may go away by itself
	Unsent    bool          // the request certainly did not reach the server: safe to repeat whatever it was
	After     time.Duration // wait the server asked for, from when the error was made; valid if HasAfter
	HasAfter  bool
}

// Hinter is an error that knows whether trying again makes sense.
type Hinter interface {
	error
	RetryHint() Hint
}

// HintOf returns the hint of the first [Hinter] in err's tree, or the zero Hint. An error that [Do] has
// already given up on has no hint left, so nested loops do not multiply attempts.
func HintOf(err error) Hint {
	if _, gaveUp := errors.AsType[*Exhausted](err); gaveUp {
		return Hint{}
	}
	if h, ok := errors.AsType[Hinter](err); ok {
		return h.RetryHint()
	}
	return Hint{}
}

// Repeatable reports whether a call that failed with this hint may be made again.
func (h Hint) Repeatable(idempotent bool) bool {
	return h.Transient && (idempotent || h.Unsent)
}
