package outage

import (
	"context"
	"errors"

	"github.com/vers-fleet/vers-fleet/retry"
)

// ErrNotAsked is what a question on the side ends with when it was not put.
var ErrNotAsked = errors.New("not asked")

// BestEffort asks for something that nothing depends on. Each place has an outage
// memory of its own: one that gives no answer is left alone for a while by all
// processes of the profile, and says nothing about the API. While the API is
// down nothing is asked.
func BestEffort[T any](ctx context.Context, a *API, m Mode, place string, ask func(context.Context) (T, error)) (T, error) {
	var nothing T
	if !a.Up(m) {
		return nothing, ErrNotAsked
	}
	memory := a.memoryOf(place)
	if permit, _ := memory.Ask(retry.Scheduled); permit == retry.PermitHold {
		return nothing, ErrNotAsked
	}
	ctx, stop := context.WithTimeout(ctx, a.Brief())
	defer stop()
	began := a.o.Now()
	value, err := ask(ctx)
	a.rememberIn(memory, err, 1, a.o.Now().Sub(began))
	return value, err
}
