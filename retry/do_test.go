package retry

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

type failure struct{ Hint }

func (failure) Error() string     { return "failed" }
func (f failure) RetryHint() Hint { return f.Hint }

func transient() error { return failure{Hint{Transient: true}} }
func asking(d time.Duration) error {
	return failure{Hint{Transient: true, After: d, HasAfter: true}}
}

// try runs Do on an operation that fails with the errors given, the last of them for ever.
func try(ctx context.Context, p Policy, idempotent bool, errs ...error) (calls []time.Duration, waits []Wait, err error) {
	start := time.Now()
	err = Do(ctx, p, idempotent, func(w Wait) { waits = append(waits, w) }, func(context.Context) error {
		n := min(len(calls), len(errs)-1)
		calls = append(calls, time.Since(start))
		return errs[n]
	})
	return calls, waits, err
}

func TestDoRepeatsOnlyWhatMayBeRepeated(t *testing.T) {
	plain := errors.New("plain")
	for _, tt := range []struct {
		name       string
		idempotent bool
		err        error
		calls      int
	}{
		{"transient and idempotent", true, transient(), 2},
		{"transient but not idempotent", false, transient(), 1},
		{"never sent", false, failure{Hint{Transient: true, Unsent: true}}, 2},
		{"unsent but permanent", true, failure{Hint{Unsent: true}}, 1},
		{"no hint", true, plain, 1},
		{"wrapped hint", true, errors.Join(plain, transient()), 2},
		{"given up inside", true, &Exhausted{Err: transient()}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, _, err := try(t.Context(), Policy{}, tt.idempotent, tt.err, nil)
				if len(calls) != tt.calls {
					t.Errorf("%d calls, want %d", len(calls), tt.calls)
				}
				if tt.calls == 2 && err != nil || tt.calls == 1 && !errors.Is(err, tt.err) {
					t.Errorf("err = %v", err)
				}
			})
		})
	}
}

func TestDoGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name    string
		p       Policy
		timeout time.Duration
		err     error
		reason  Reason
		calls   int           // 0 = any
		within  time.Duration // virtual time it may take
	}{
		{"attempts", Policy{MaxAttempts: 3}, 0, transient(), ReasonAttempts, 3, time.Minute},
		{"elapsed", Policy{MaxElapsed: 8 * time.Second}, 0, transient(), ReasonTime, 0, 8 * time.Second},
		{"deadline", Policy{}, 5 * time.Second, transient(), ReasonTime, 0, 5 * time.Second},
		{"budget", Policy{Budget: NewBudget(2, 0)}, 0, transient(), ReasonBudget, 3, time.Minute},
		{"server asks too much", Policy{MaxElapsed: 10 * time.Second}, 0, asking(11 * time.Second), ReasonServerAsked, 1, 0},
		{"server asks past the deadline", Policy{}, time.Second, asking(time.Minute), ReasonServerAsked, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					defer cancel()
				}
				start := time.Now()
				calls, waits, err := try(ctx, tt.p, true, tt.err)
				gaveUp, ok := errors.AsType[*Exhausted](err)
				if !ok || gaveUp.Reason != tt.reason || !errors.Is(err, tt.err) {
					t.Fatalf("err = %#v", err)
				}
				if gaveUp.Attempts != len(calls) || len(waits) != len(calls)-1 || tt.calls > 0 && tt.calls != len(calls) {
					t.Errorf("%d attempts, %d calls, %d waits, want %d", gaveUp.Attempts, len(calls), len(waits), tt.calls)
				}
				if took := time.Since(start); took > tt.within || took != gaveUp.Elapsed {
					t.Errorf("took %s (said %s), want at most %s", took, gaveUp.Elapsed, tt.within)
				}
				if asked := HintOf(tt.err).After; asked > 0 && !gaveUp.Until.Equal(start.Add(asked)) {
					t.Errorf("until %s", gaveUp.Until)
				}
			})
		})
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		start := time.Now()
		_, _, err := try(ctx, Policy{Base: time.Minute, Cap: time.Minute, Rand: func() float64 { return 0.9 }}, true, transient())
		if time.Since(start) != 10*time.Second || !errors.Is(err, context.Canceled) {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if calls, _, err := try(ctx, Policy{}, true, nil); len(calls) != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("a canceled context still made %d call(s): %v", len(calls), err)
		}
	})
}

func TestDoTellsItsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := func() float64 { return 0.5 }
		calls, waits, err := try(t.Context(), Policy{Base: time.Second, Cap: 4 * time.Second, Rand: half}, true,
			transient(), transient(), transient(), transient(), asking(10*time.Second), nil)
		if err != nil {
			t.Fatal(err)
		}
		// Full jitter: half of 1, 2, 4 and 4 seconds; then what the server asked for and half as long again.
		want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond,
			5500 * time.Millisecond, 20500 * time.Millisecond}
		for i, at := range calls {
			if at != want[i] {
				t.Errorf("call %d after %s, want %s", i+1, at, want[i])
			}
		}
		for i, w := range waits {
			if w.Attempt != i+1 || w.Elapsed != calls[i] || w.Delay != calls[i+1]-calls[i] || w.ServerAsked != (i == 4) || w.Err == nil {
				t.Errorf("wait %d: %+v", i+1, w)
			}
		}
	})
}

func TestDelayBounds(t *testing.T) {
	last := func() float64 { return 1 - 1e-16 }
	for _, r := range []func() float64{func() float64 { return 0 }, last, nil} {
		p := Policy{Base: time.Second, Cap: 30 * time.Second, Rand: r}.withDefaults()
		for attempt := 1; attempt < 200; attempt++ {
			for _, left := range []time.Duration{1, time.Second, time.Minute, 1 << 62} {
				if d, ok := p.delay(attempt, Hint{}, left); ok && (d < 0 || d > left || d > p.Cap) {
					t.Fatalf("attempt %d, %s left: %s", attempt, left, d)
				}
				for _, after := range []time.Duration{-1, 1, 10 * time.Second, 1 << 62} {
					d, ok := p.delay(attempt, Hint{HasAfter: true, After: after}, left)
					if ok && (d < min(after, maxServerWait) || d > left || d > 2*maxServerWait) {
						t.Fatalf("attempt %d, %s left, asked %s: %s", attempt, left, after, d)
					}
				}
			}
		}
	}
}

func TestBudget(t *testing.T) {
	b := NewBudget(2, 0.5)
	for i, want := range []bool{true, true, false} {
		if b.take() != want {
			t.Errorf("take %d: %v", i, !want)
		}
	}
	b.success()
	if b.take() {
		t.Error("half a token was enough")
	}
	for range 100 {
		b.success()
	}
	taken := 0
	for taken < 10 && b.take() {
		taken++
	}
	if taken != 2 {
		t.Errorf("%d tokens, more or less than its capacity", taken)
	}
	var none *Budget
	none.success()
	if !none.take() {
		t.Error("a nil budget must not limit")
	}
}

func TestExhaustedKeepsBothErrors(t *testing.T) {
	err := error(&Exhausted{Err: io.ErrUnexpectedEOF, Ctx: context.DeadlineExceeded})
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("an error is lost")
	}
}
