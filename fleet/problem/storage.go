package problem

import (
	"cmp"
	"context"
	"errors"

	"github.com/vers-fleet/vers-fleet/keystore"
)

// OfStorage gives a failure of the local record its kind and words. what
// completes "cannot ...". Nil stays nil.
func OfStorage(what string, err error) error {
	return Of(context.Background(), err, Error{Kind: Storage, What: "cannot " + what, Origin: OriginLocal}, func(e *Error) {
		var ke *keystore.Error
		if !errors.As(err, &ke) {
			return
		}
		e.Next = ke.Next
		switch ke.Kind {
		case keystore.KindNotFound:
			e.Kind = NotFound
		case keystore.KindInvalid:
			e.Kind = Usage
		case keystore.KindSealed:
			if keystore.IsWrongPassphrase(err) {
				e.Next = cmp.Or(e.Next, "run it again with the passphrase that was given to: vers-fleet keys encrypt")
			}
			e.Next = cmp.Or(e.Next, "name the age or SSH identity that opens it: vers-fleet config set keys.identity FILE")
		case keystore.KindFull:
			e.Next = "free some space and run it again: " + ke.Next
		}
	})
}
