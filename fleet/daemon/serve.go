package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/private"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/keystore"
	"github.com/vers-fleet/vers-fleet/retry"
)

// question is what may be asked at the daemon's socket: one JSON object on a
// line. The answer is one for status, and one for each event.
type question struct {
	Ask    string `json:"ask"` // status or events
	After  int64  `json:"after,omitempty"`
	Follow bool   `json:"follow,omitempty"`
}

// Bounds of what is asked.
const (
	mostAsked  = 4 << 10 // bytes of a question
	askWait    = 5 * time.Second
	mostAskers = 32 // at once
)

// socket is where the daemon of the profile can be asked.
func (d *Daemon) socket() string {
	return private.Path(d.o.Runtime, d.o.Store.Dir(), "daemon-"+d.o.Profile)
}

// serve answers questions of this user's processes until ctx ends, or stop is
// called.
func (w *work) serve(ctx context.Context) (stop func(), err error) {
	l, err := private.Listen(w.socket())
	if err != nil {
		return nil, err
	}
	places := make(chan struct{}, mostAskers)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case places <- struct{}{}:
				go func() {
					defer func() { <-places }()
					defer c.Close()
					w.answer(ctx, c)
				}()
			default:
				_ = c.Close()
			}
		}
	}()
	return func() { _ = l.Close() }, nil
}

// answer answers one question.
func (w *work) answer(ctx context.Context, c net.Conn) {
	if err := private.CheckPeer(c); err != nil {
		w.o.Log.Warn("somebody else has asked", "error", err)
		return
	}
	_ = c.SetDeadline(time.Now().Add(askWait))
	line, err := bufio.NewReader(io.LimitReader(c, mostAsked)).ReadBytes('\n')
	var q question
	if err != nil || json.Unmarshal(line, &q) != nil {
		return
	}
	out := json.NewEncoder(c)
	switch q.Ask {
	case "status":
		_ = out.Encode(w.status())
	case "events":
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		go func() { // ends the answer when nobody reads it any more
			_, _ = io.Copy(io.Discard, c)
			stop()
		}()
		_ = c.SetReadDeadline(time.Time{})
		_ = w.o.Events.Follow(ctx, q.After, q.Follow, func(e Event) error {
			_ = c.SetWriteDeadline(time.Now().Add(askWait))
			return out.Encode(e)
		})
	}
}

// Status asks the daemon of the profile how it is. One that does not run is no
// error.
func (d *Daemon) Status(ctx context.Context) (Status, error) {
	s := Status{Profile: d.o.Profile, Unreachable: []string{}, Lieutenants: map[string]int{}, Mirror: MirrorStatus{VMs: []MirrorVM{}}, Loops: []LoopStatus{}}
	release, err := d.o.Store.Lock(ctx, "daemon", false)
	switch {
	case err == nil:
		release()
		return s, nil
	case keystore.KindOf(err) != keystore.KindLocked:
		return s, problem.OfStorage("look for the daemon", err)
	}
	s.Running = true
	if err := d.ask(ctx, question{Ask: "status"}, &s); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return s, &problem.Error{Kind: problem.Unexpected, What: "the daemon does not say how it is", Why: err.Error(), Origin: problem.OriginLocal, Retryable: true, Err: err,
			Next: "see what it did last: vers-fleet daemon logs"}
	}
	return s, nil
}

// ask puts a question to the daemon and reads its answer.
func (d *Daemon) ask(ctx context.Context, q question, answer any) error {
	path := d.socket()
	if err := private.CheckFolder(path); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, askWait)
	defer stop()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })()
	if err := private.CheckPeer(c); err != nil {
		return err
	}
	if err := json.NewEncoder(c).Encode(q); err != nil {
		return err
	}
	if err := json.NewDecoder(c).Decode(answer); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}

// followEvery is how soon an event is handed on.
const followEvery = time.Second

// Follow hands on the recorded events with a greater Seq, oldest first, and with
// on those that come, until ctx ends or fn fails; it returns that error.
func (e *Events) Follow(ctx context.Context, after int64, on bool, fn func(Event) error) error {
	for {
		events, last, err := e.After(after)
		if err != nil {
			return err
		}
		for _, event := range events {
			if err := fn(event); err != nil {
				return err
			}
		}
		if after = last; !on {
			return nil
		}
		if err := retry.Sleep(ctx, followEvery); err != nil {
			return err
		}
	}
}
