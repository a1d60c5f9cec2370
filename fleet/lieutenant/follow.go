package lieutenant

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"
)

// FollowOptions says where to begin and what to do when the connection is lost.
type FollowOptions struct {
	// From is where to begin, at the beginning of a line: Current, Answers.End, or the Next of an event. The zero
	// Position is the beginning of the stream.
	From Position
	// Redial opens a new connection after the old one failed. It decides how often and for how long it tries; its error
	// ends Follow. Closing connections is the caller's. Nil means that a lost connection ends Follow.
	Redial func(context.Context) (Conn, error)
	// Dropped, if not nil, is told why a connection was lost, before Redial.
	Dropped func(error)
}

// Follow calls fn with every line that is written to the stream, until ctx ends, fn fails or the connection is lost
// for good; it returns the error of whichever it was. Through reconnections no line is lost or repeated. When the
// file is truncated or replaced, fn gets an event of KindReset, and then the lines of the new file from its
// beginning. A file that does not exist (yet) is waited for.
func (s *Stream) Follow(ctx context.Context, o FollowOptions, fn func(Event) error) error {
	f := &follower{pos: o.From, lineStart: o.From.Offset, fn: fn}
	conn := s.Conn
	for failures := 0; ; {
		err := f.run(ctx, conn, s.Paths.withDefaults())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.failed != nil {
			return f.failed
		}
		if errors.Is(err, errChanged) {
			if err := f.reset(0); err != nil {
				return err
			}
			continue
		}
		if f.progress {
			failures = 0
		}
		f.progress = false
		failures++
		if o.Redial == nil || exited(err) && failures > maxFruitless {
			return err
		}
		if o.Dropped != nil {
			o.Dropped(err)
		}
		if err := pause(ctx, failures); err != nil {
			return err
		}
		if conn, err = o.Redial(ctx); err != nil {
			return err
		}
	}
}

// maxFruitless is how often the command may fail on the VM, without a byte in between, before it is no longer an
// accident.
const maxFruitless = 5

// pause waits before a connection that may fail at once again: nothing after the first failure, then up to 1, 2, 4
// ... 30 s.
func pause(ctx context.Context, failures int) error {
	if failures < 2 {
		return ctx.Err()
	}
	ceiling := min(time.Second<<min(failures-2, 5), 30*time.Second)
	t := time.NewTimer(time.Duration(rand.Float64() * float64(ceiling)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// command is followScript from where the follower is.
func (f *follower) command(p Paths) string {
	return shellCommand(followScript, p.Out, strconv.FormatInt(f.pos.Offset, 10), strconv.FormatUint(f.pos.Inode, 10))
}
