package sim

import (
	"slices"
	"sync"
	"time"
)

// maxCalls bounds the log of a simulator that runs for days.
const maxCalls = 200_000

// Call is one request the API saw.
type Call struct {
	Time     time.Time     `json:"time"`
	Method   string        `json:"method"`
	Path     string        `json:"path"` // with query, as asked
	Endpoint string        `json:"endpoint,omitempty"`
	VM       string        `json:"vm,omitempty"`
	Status   int           `json:"status"` // 0 when the connection was cut or hung
	Fault    string        `json:"fault,omitempty"`
	ValidKey bool          `json:"valid_key"`
	Trap     bool          `json:"trap,omitempty"` // seen by the foreign host of a redirect fault
	AnyKey   bool          `json:"any_key"`        // an Authorization header was there at all
	Took     time.Duration `json:"took_ns"`
}

// callLog remembers the last maxCalls calls.
type callLog struct {
	mu    sync.Mutex
	calls []*Call
}

// add logs a call that has come in; what is learned of it later is told by the
// result. So a client that saw its connection cut finds the call in the log.
func (l *callLog) add(c Call) (update func(Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) >= maxCalls {
		l.calls = slices.Delete(l.calls, 0, maxCalls/10)
	}
	l.calls = append(l.calls, &c)
	return func(now Call) {
		l.mu.Lock()
		defer l.mu.Unlock()
		c = now
	}
}

func (l *callLog) list() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Call, len(l.calls))
	for i, c := range l.calls {
		out[i] = *c
	}
	return out
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
}
