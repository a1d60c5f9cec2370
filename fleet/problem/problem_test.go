package problem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vers-fleet/vers-fleet/keystore"
)

func TestOf(t *testing.T) {
	canceled, stop := context.WithCancel(t.Context())
	stop()
	base := Error{Kind: Unreachable, What: "cannot reach it", Origin: OriginSSH, Next: "try again"}
	if err := Of(t.Context(), nil, base, nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	own := &Error{Kind: Auth, What: "no key"}
	if err := Of(canceled, fmt.Errorf("wrapped: %w", own), base, func(*Error) { t.Error("detailed") }); err != error(own) {
		t.Errorf("an *Error became %v", err)
	}
	cause := errors.New("cut")
	err := Of(t.Context(), cause, base, func(e *Error) { e.Retryable = true })
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unreachable || e.Why != "cut" || !e.Retryable || !errors.Is(err, cause) {
		t.Errorf("got %+v", err)
	}
	for name, err := range map[string]error{
		"by the error":   Of(t.Context(), fmt.Errorf("read: %w", context.Canceled), base, nil),
		"by the context": Of(canceled, cause, base, nil),
	} {
		if KindOf(err) != Interrupted || OriginOf(err) != OriginLocal || Why(err) != "interrupted" {
			t.Errorf("interrupted %s: %+v", name, err)
		}
	}
}

func TestOfStorage(t *testing.T) {
	for kind, want := range map[keystore.Kind]Kind{
		keystore.KindDamaged: Storage, keystore.KindFull: Storage, keystore.KindNotFound: NotFound, keystore.KindInvalid: Usage,
	} {
		if err := OfStorage("read it", &keystore.Error{Kind: kind, Op: "read"}); KindOf(err) != want {
			t.Errorf("%v: %s, want %s", kind, KindOf(err), want)
		}
	}
	if err := OfStorage("read it", fs.ErrPermission); KindOf(err) != Storage || !strings.HasPrefix(err.Error(), "cannot read it: ") {
		t.Errorf("got %v", err)
	}
}

func TestSum(t *testing.T) {
	down := &Error{Kind: Unavailable, What: "cannot", Why: "the API is down"}
	dark := &Error{Kind: Unreachable, What: "cannot", Why: "no answer"}
	queued := &Error{Kind: Queued, What: "queued", Why: "the API is down"}
	stopped := &Error{Kind: Interrupted, What: "stopped", Err: ErrStopped}
	canceled, stop := context.WithCancel(t.Context())
	stop()
	named := func(errs ...error) (all []Outcome) {
		for i, err := range errs {
			all = append(all, Outcome{Name: fmt.Sprint("vm", i), Err: err})
		}
		return all
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		sum  Sum
		all  []Outcome
		kind Kind
		text string
	}{
		"nothing failed":             {t.Context(), Sum{}, named(nil, nil), "", ""},
		"one VM speaks":              {t.Context(), Sum{}, named(dark), Unreachable, "cannot: no answer"},
		"some failed":                {t.Context(), Sum{Failed: "failed"}, named(dark, nil, down, dark), Partial, "3 of 4 VMs failed: vm0, vm3 (no answer); vm2 (the API is down)"},
		"all alike":                  {t.Context(), Sum{Failed: "failed", Alike: true}, named(down, down), Unavailable, "2 of 2 VMs failed: the API is down"},
		"alike, but not all":         {t.Context(), Sum{Failed: "failed", Alike: true}, named(down, nil), Partial, "1 of 2 VMs failed: vm0 (the API is down)"},
		"what failed only waits":     {t.Context(), Sum{Alike: true}, named(queued, nil), Queued, "queued: the API is down"},
		"stopped":                    {t.Context(), Sum{Failed: "failed"}, named(dark, stopped), Partial, "1 of 2 VMs failed, 1 were stopped: vm0 (no answer)"},
		"given up":                   {canceled, Sum{Failed: "failed"}, named(nil, stopped, stopped), Interrupted, "interrupted: 1 of 3 VMs were done"},
		"given up when all was done": {canceled, Sum{}, named(nil, nil), "", ""},
	} {
		err := c.sum.Of(c.ctx, c.all)
		if KindOf(err) != c.kind || err != nil && err.Error() != c.text {
			t.Errorf("%s: %s %v, want %s %q", name, KindOf(err), err, c.kind, c.text)
		}
	}
}

func TestEach(t *testing.T) {
	const n, jobs = 50, 4
	var working, most, done atomic.Int64
	Each(n, jobs, func(int) {
		if now := working.Add(1); now > most.Load() {
			most.Store(now)
		}
		done.Add(1)
		working.Add(-1)
	})
	if done.Load() != n || most.Load() > jobs {
		t.Errorf("%d done, %d at once", done.Load(), most.Load())
	}
}

func TestWatchGoesOn(t *testing.T) {
	for kind, want := range map[Kind][2]bool{ // at the start, later
		Unavailable: {true, true}, Partial: {true, true}, Usage: {false, false}, Auth: {false, true}, Storage: {false, true},
	} {
		err := &Error{Kind: kind}
		if got := [2]bool{WatchGoesOn(err, true), WatchGoesOn(err, false)}; got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
	if WatchGoesOn(errors.New("broken pipe"), false) {
		t.Error("a watch goes on although nobody can see it")
	}
}
