package retry

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestStateSurvivesItsJSON(t *testing.T) {
	at := noon()
	s := State{Version: stateVersion, LastCall: at, LastAnswer: at, NextProbe: at, NotBefore: at, Interval: probeFirst,
		Lease:     Lease{"1-2", at},
		LastError: &Trouble{CauseTimeout, "x", at, at, 1}, FailedAttempts: &Trouble{CauseTimeout, "x", at, at, 1},
		Local:   &LocalTrouble{Trouble{CauseDNS, "y", at, at, 2}, at},
		Outage:  &Outage{Start: at, Failures: 3, Causes: map[string]int{"timeout": 3}},
		Past:    []Outage{{Start: at, End: at.Add(time.Hour), Failures: 1}},
		Latency: Latency{10, 20, 3}}
	data, err := encodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := decodeState(data); !reflect.DeepEqual(got, s) {
		t.Errorf("got  %+v\nwant %+v", got, s)
	}
}

func TestJunkCountsAsUnknown(t *testing.T) {
	for _, junk := range []string{"", "null", "[]", "{", "\x00\x00\x00", `{"version":"1"}`, `{"version":0}`, `{"version":-1}`,
		`{"version":1,"past":{}}`, `{"version":1,"next_probe":"yesterday"}`, `{"version":1,"probe_interval_ns":1e300}`,
		strings.Repeat("[", 100000)} {
		if got := decodeState([]byte(junk)); !reflect.DeepEqual(got, State{}) {
			t.Errorf("%.40q: %+v", junk, got)
		}
		store := &shared{data: []byte(junk)}
		m := NewMemory(store, MemoryOptions{})
		wantPermit(t, m, Scheduled, PermitCall)
		must(t, m.Failed(failing()))
		wantPermit(t, m, Scheduled, PermitHold)
	}
}

func TestNewerStateIsLeftAlone(t *testing.T) {
	const newer = `{"version":2,"outage":{"start":"2026-02-24T03:20:00Z"},"new":"field"}`
	store := &shared{data: []byte(newer)}
	m := NewMemory(store, MemoryOptions{})
	wantPermit(t, m, Scheduled, PermitCall)
	if err := m.Failed(failing()); !errors.Is(err, errNewerState) {
		t.Errorf("Failed: %v", err)
	}
	if err := m.Succeeded(0); !errors.Is(err, errNewerState) {
		t.Errorf("Succeeded: %v", err)
	}
	if string(store.data) != newer {
		t.Errorf("overwritten with %s", store.data)
	}
}

// FuzzState checks that nothing a file may contain can crash the memory or keep it from probing.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"outage":{},"next_probe":"9999-01-01T00:00:00Z","not_before":"9999-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"version":1,"outage":{"failures":9223372036854775807},"lease":{"owner":"x","until":"9999-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"version":1,"outage":{"start":"0001-01-01T00:00:00Z"},"local":{"until":"9999-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		now := noon()
		m := NewMemory(&shared{data: data}, MemoryOptions{Now: func() time.Time { return now }})
		m.Ask(Scheduled)
		s, _ := m.State()
		s.Forecast(now)
		s.Warnings(now)
		now = now.Add(maxServerWait + 2*probeMax)
		if p, s := m.Ask(Scheduled); p == PermitHold {
			t.Errorf("wedged: %+v", s)
		}
		_, _ = m.Failed(failing()), m.Succeeded(time.Second)
		if s, _ := m.State(); s.Version <= stateVersion && s.Down() {
			t.Errorf("still down: %+v", s)
		}
	})
}

func TestClockSetBack(t *testing.T) {
	for name, prepare := range map[string]func(m *Memory){
		"outage":      func(m *Memory) { _ = m.Failed(failing()) },
		"server wait": func(m *Memory) { _ = m.Failed(Failure{Cause: CauseTimeout, After: time.Hour}) },
		"lease":       func(m *Memory) { _ = m.Failed(failing()) },
		"local":       func(m *Memory) { _ = m.Failed(Failure{Cause: CauseDNS, Local: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			now := noon()
			m := NewMemory(&shared{}, MemoryOptions{Now: func() time.Time { return now }})
			prepare(m)
			if name == "lease" {
				now = now.Add(time.Minute)
				wantPermit(t, m, Scheduled, PermitProbe)
			}
			now = now.Add(-24 * time.Hour)
			p, s := m.Ask(Scheduled)
			if p == PermitHold {
				t.Errorf("a clock set back wedges: %+v", s)
			}
			if s.Outage != nil && s.Outage.Length(now) != 0 {
				t.Errorf("an outage of %s", s.Outage.Length(now))
			}
			must(t, m.Succeeded(0))
			wantPermit(t, m, Scheduled, PermitCall)
		})
	}
}

func TestHistoryIsBounded(t *testing.T) {
	now := noon()
	store := &shared{}
	m := NewMemory(store, MemoryOptions{Now: func() time.Time { return now }})
	for i := range 60 {
		for c := range maxCauses + 2 {
			must(t, m.Failed(Failure{Cause: CauseHTTP(500 + c), Detail: strings.Repeat("ä", 500), Calls: math.MaxInt}))
		}
		now = now.Add(time.Minute * time.Duration(i+1))
		must(t, m.Succeeded(time.Second))
	}
	s, _ := m.State()
	if len(s.Past) != maxPast || len(s.Past[0].Causes) > maxCauses+1 || s.Past[0].Failures != math.MaxInt {
		t.Errorf("%d outages, %+v", len(s.Past), s.Past[0])
	}
	if got := s.Past[maxPast-1].Length(now); got != 60*time.Minute {
		t.Errorf("the last outage took %s", got)
	}
	if n := len(s.LastError.Detail); n != maxDetail {
		t.Errorf("detail of %d bytes", n)
	}
}

type doc struct {
	data []byte
	err  error
}

func (d *doc) Read() ([]byte, error) { return d.data, d.err }
func (d *doc) Update(_ context.Context, fn func([]byte) ([]byte, error)) error {
	data, err := fn(d.data)
	if err == nil {
		d.data, d.err = data, nil
	}
	return err
}

func TestMemoryInADocument(t *testing.T) {
	d := &doc{err: fs.ErrNotExist}
	m := NewMemory(d, MemoryOptions{})
	wantPermit(t, m, Scheduled, PermitCall)
	must(t, m.Failed(failing()))
	wantPermit(t, m, Scheduled, PermitHold)
	d.err = fs.ErrPermission
	if _, err := m.State(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("State: %v", err)
	}
}
