package wan

import (
	"sync"
	"sync/atomic"
)

// turns counts the turns of a talk: what one end says after it has heard the
// n-th is the n+1-th. Unlike the time that a talk takes, their number does not
// depend on how fast the machine is, as long as each end says what it has to
// say within a round trip.
type turns struct {
	mu             sync.Mutex
	client, target int // the last turn that each has heard
	total          *atomic.Int64
}

// newTurns begins after the handshake of TCP, of which the client has heard the
// second turn and the target the third.
func newTurns(total *atomic.Int64) turns {
	total.Add(2)
	return turns{client: 2, target: 3, total: total}
}

// said returns the turn of what is said now, towards the client or the target.
func (t *turns) said(towardsClient bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if towardsClient {
		return t.target + 1
	}
	return t.client + 1
}

// heard notes that a turn arrives.
func (t *turns) heard(byClient bool, turn int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if byClient {
		t.total.Add(int64(max(turn-t.client, 0)))
		t.client = max(t.client, turn)
	} else {
		t.target = max(t.target, turn)
	}
}
