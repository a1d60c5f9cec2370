package fleet

import (
	"errors"

	"github.com/vers-fleet/vers-fleet/keystore"
)

// storageError gives a failure of the local record its kind and words. what
// completes "cannot ...". Nil stays nil.
func storageError(what string, err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	e := &Error{Kind: Storage, What: "cannot " + what, Why: err.Error(), Origin: OriginLocal, Err: err}
	var ke *keystore.Error
	if errors.As(err, &ke) {
		e.Next = ke.Next
		if ke.Kind == keystore.KindNotFound {
			e.Kind = NotFound
		}
		if ke.Kind == keystore.KindInvalid {
			e.Kind = Usage
		}
		if ke.Kind == keystore.KindSealed {
			e.Next = orElse(e.Next, "name the age or SSH identity that opens it: vers-fleet config set keys.identity FILE")
		}
		if ke.Kind == keystore.KindFull {
			e.Next = "free some space and run it again: " + ke.Next
		}
	}
	return e
}

// kindOf returns the Kind of an error of this package, or Unexpected.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unexpected
}

// KindOf returns the Kind of err: that of the *Error in it, Unexpected for any
// other error and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	return kindOf(err)
}
