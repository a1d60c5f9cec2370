package outage

import (
	"context"
	"errors"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
)

// settleTimeout bounds the question what became of a request.
const settleTimeout = 10 * time.Second

// Afterwards is a context for the question what became of a request. It allows
// it even after the user interrupted the command or its time was over, but then
// more briefly.
func Afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := settleTimeout
	if ctx.Err() != nil {
		limit = ProbeTimeout
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// MayStillAct reports whether the API could be at work on a request that ended
// with err: nobody answered, or a gateway did in its place.
func MayStillAct(err error) bool {
	const badGateway, gatewayTimeout = 502, 504
	var ae *api.Error
	return !errors.As(err, &ae) || ae.Status == 0 || ae.Status == badGateway || ae.Status == gatewayTimeout
}
