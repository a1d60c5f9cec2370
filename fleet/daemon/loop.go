package daemon

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// loop is a piece of work that is done again and again, in a goroutine of its
// own, so that none holds up another.
type loop struct {
	name     string
	every    time.Duration // at most so long from the end of one turn to the next
	deadline time.Duration // of one turn
	turn     func(context.Context) error
	woken    chan struct{} // begins the next turn at once

	mu     sync.Mutex
	status LoopStatus
	began  time.Time // of the turn that is at work, by the process's own clock; zero if none is
}

// LoopStatus tells how a loop fares. The JSON names are stable.
type LoopStatus struct {
	Name     string    `json:"name"`
	Turns    int64     `json:"turns"`
	Failures int64     `json:"failures"`
	Last     time.Time `json:"last_at,omitzero"` // when its last turn ended
	Took     float64   `json:"last_seconds"`
	Error    string    `json:"error,omitempty"` // of its last turn
	Next     time.Time `json:"next_at,omitzero"`
}

func newLoop(name string, every, deadline time.Duration, turn func(context.Context) error) *loop {
	return &loop{name: name, every: every, deadline: deadline, turn: turn, woken: make(chan struct{}, 1), status: LoopStatus{Name: name}}
}

// wake begins the next turn as soon as the present one is over.
func (l *loop) wake() {
	select {
	case l.woken <- struct{}{}:
	default: // it is to be woken already
	}
}

// earlier is the part of a pause that chance takes away, so that many daemons do
// not ask together.
const earlier = 0.2

// run takes turns until ctx ends.
func (l *loop) run(ctx context.Context, d *Daemon) {
	for ctx.Err() == nil {
		l.once(ctx, d)
		pause := time.Duration(float64(l.every) * (1 - earlier*rand.Float64()))
		l.mu.Lock()
		l.status.Next = d.o.Now().Add(pause).UTC()
		l.mu.Unlock()
		select {
		case <-d.o.After(pause):
		case <-l.woken:
		case <-ctx.Done():
		}
	}
}

func (l *loop) once(ctx context.Context, d *Daemon) {
	began := time.Now()
	l.mu.Lock()
	l.began = began
	l.mu.Unlock()
	within, stop := context.WithTimeout(ctx, l.deadline)
	err := l.turn(within)
	stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = time.Time{}
	if ctx.Err() != nil {
		return // it was stopped
	}
	before := l.status.Error
	l.status.Turns, l.status.Last, l.status.Took, l.status.Error = l.status.Turns+1, d.o.Now().UTC(), time.Since(began).Seconds(), ""
	if err != nil {
		l.status.Failures, l.status.Error = l.status.Failures+1, problem.Lasting(err)
	}
	switch log := d.o.Log.With("loop", l.name); {
	case l.status.Error == before:
		log.Debug("turn", "error", l.status.Error)
	case err != nil:
		log.Log(ctx, slog.LevelWarn, "failed", "error", err)
	default:
		log.Info("works again")
	}
}

func (l *loop) now() LoopStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}
