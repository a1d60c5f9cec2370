package retry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// stateVersion is the version of the JSON form of State that this code writes.
const stateVersion = 1

// errNewerState is returned by updates of a memory that a newer version of the program has written. It is left as it
// is.
var errNewerState = errors.New("the outage memory was written by a newer version of this program")

const (
	maxPast   = 50  // outages kept
	maxCauses = 16  // different causes counted per outage
	maxDetail = 200 // bytes of a detail
)

// State is what all processes of a profile know about the API. Its zero value means that nothing is known, and counts
// as up.
type State struct {
	Version        int           `json:"version"`
	LastCall       time.Time     `json:"last_call,omitzero"`        // when a result was last recorded or a probe last begun
	LastAnswer     time.Time     `json:"last_answer,omitzero"`      // when the API last answered
	LastError      *Trouble      `json:"last_error,omitempty"`      // the latest failure; kept after the API is back
	FailedAttempts *Trouble      `json:"failed_attempts,omitempty"` // failed attempts that were repeated and opened no outage
	Local          *LocalTrouble `json:"local,omitempty"`           // trouble of this machine; nil = none known
	Outage         *Outage       `json:"outage,omitempty"`          // the present outage; nil = none known
	Past           []Outage      `json:"past,omitempty"`            // oldest first, at most 50
	Latency        Latency       `json:"latency,omitzero"`

	NextProbe time.Time     `json:"next_probe,omitzero"`         // earliest probe of anybody who is in no hurry
	NotBefore time.Time     `json:"not_before,omitzero"`         // earliest probe the server allows
	Interval  time.Duration `json:"probe_interval_ns,omitempty"` // before jitter
	Lease     Lease         `json:"lease,omitzero"`
	Probes    []time.Time   `json:"probes,omitempty"` // of the last minute, oldest first
}

// Trouble is one failure, or a row of them.
type Trouble struct {
	Cause  Cause     `json:"cause"`
	Detail string    `json:"detail,omitempty"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Calls  int       `json:"calls"`
}

// LocalTrouble is trouble of this machine. Until Until, processes in no hurry do not try.
type LocalTrouble struct {
	Trouble
	Until time.Time `json:"until"`
}

// Outage is a time in which the API did not answer. End is zero while it lasts; afterwards it is the moment of the
// first success seen, so the API may have been back somewhat earlier.
type Outage struct {
	Start    time.Time      `json:"start"`
	End      time.Time      `json:"end,omitzero"`
	Failures int            `json:"failures"`
	Causes   map[string]int `json:"causes,omitempty"`
}

// Length is how long the outage lasted, or has lasted until now. It is never negative.
func (o Outage) Length(now time.Time) time.Duration {
	if o.End.IsZero() {
		return max(now.Sub(o.Start), 0)
	}
	return max(o.End.Sub(o.Start), 0)
}

// Lease names the process that probes, and until when it may be believed to live.
type Lease struct {
	Owner string    `json:"owner,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// Down reports whether an outage of the API is known.
func (s State) Down() bool { return s.Outage != nil }

// Condition says in one word how the API is, as far as known.
type Condition string

// The conditions. The last two are no outages: the API is there and asks for
// fewer calls, or something before it answers in its place.
const (
	Up      Condition = "up"
	Down    Condition = "down"
	Limited Condition = "limited"
	Portal  Condition = "portal"
)

// Condition is what the latest failure of the present outage means.
func (s State) Condition() Condition {
	switch {
	case s.Outage == nil:
		return Up
	case s.LastError != nil && s.LastError.Cause == CauseHTTP(429):
		return Limited
	case s.LastError != nil && s.LastError.Cause == CauseNotVers:
		return Portal
	}
	return Down
}

// excused reports whether nothing that failed in it says that the API was down.
func (o Outage) excused() bool {
	for cause := range o.Causes {
		if c := Cause(cause); c != CauseHTTP(429) && c != CauseNotVers {
			return false
		}
	}
	return len(o.Causes) > 0
}

// decodeState reads the JSON form. Whatever cannot be read counts as unknown: the result is then the zero State. A
// state of a newer version keeps only its Version, which guards it from being overwritten.
func decodeState(data []byte) State {
	var head struct {
		Version int `json:"version"`
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(data, &head) != nil || head.Version < 1 {
		return State{}
	}
	if head.Version > stateVersion {
		return State{Version: head.Version}
	}
	var s State
	if json.Unmarshal(data, &s) != nil {
		return State{}
	}
	s.bound()
	return s
}

// encodeState writes the JSON form.
func encodeState(s State) ([]byte, error) {
	if s.Version == 0 {
		s.Version = stateVersion
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// bound keeps a state within its limits, whoever wrote it.
func (s *State) bound() {
	if n := len(s.Past); n > maxPast {
		s.Past = s.Past[n-maxPast:]
	}
	if n := len(s.Probes); n > probeMost {
		s.Probes = s.Probes[n-probeMost:]
	}
	s.Interval = min(max(s.Interval, 0), probeMax)
	s.Latency.bound()
	if s.Outage != nil {
		s.Outage.Failures = max(s.Outage.Failures, 0)
	}
	for _, t := range []*Trouble{s.LastError, s.FailedAttempts} {
		if t != nil {
			t.Detail = cut(t.Detail)
		}
	}
	if s.Local != nil {
		s.Local.Detail = cut(s.Local.Detail)
	}
}

// distrust drops every moment that cannot be true at now, because the clock was set back or the file was tampered
// with.
func (s *State) distrust(now time.Time) {
	future := func(t time.Time, ahead time.Duration) bool { return t.After(now.Add(ahead)) }
	drop := func(t *time.Time, ahead time.Duration) {
		if future(*t, ahead) {
			*t = time.Time{}
		}
	}
	if future(s.LastCall, time.Minute) { // the clock was set back, so the server's wait is no longer known
		s.NotBefore = time.Time{}
	}
	drop(&s.LastCall, 0)
	drop(&s.LastAnswer, 0)
	drop(&s.NotBefore, maxServerWait)
	s.Probes = slices.DeleteFunc(slices.Clone(s.Probes), func(at time.Time) bool { return future(at, 0) })
	if future(s.NextProbe, 2*probeMax) && future(s.NextProbe, s.NotBefore.Sub(now)+probeMax) {
		s.NextProbe = now
	}
	if future(s.Lease.Until, leaseMax) {
		s.Lease = Lease{}
	}
	if s.Local != nil && future(s.Local.Until, localHold) {
		s.Local = nil
	}
	if s.FailedAttempts != nil && (future(s.FailedAttempts.First, 0) || future(s.FailedAttempts.Last, 0)) {
		s.FailedAttempts = nil
	}
	if s.LastError != nil && future(s.LastError.Last, 0) {
		s.LastError = nil
	}
	if s.Outage != nil && future(s.Outage.Start, 0) {
		o := *s.Outage
		o.Start = now
		s.Outage = &o
	}
}

// cut shortens s to maxDetail bytes without splitting a character.
func cut(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	n := maxDetail
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Cause is the kind of a failure, as it is counted and remembered.
type Cause string

// Causes other than an HTTP status, which is made by CauseHTTP. The last three are troubles of this machine.
const (
	CauseTimeout   Cause = "timeout"
	CauseRefused   Cause = "refused"
	CauseReset     Cause = "reset"
	CauseTruncated Cause = "truncated"
	CauseNotVers   Cause = "not_vers"
	CauseRecorded  Cause = "recorded"
	CauseOther     Cause = "other"
	CauseNoNetwork Cause = "no_network"
	CauseDNS       Cause = "dns"
	CauseTLS       Cause = "tls"
)

const httpPrefix = "http_"

// CauseHTTP is the cause of an answer with a status that means "not now", such as 503.
func CauseHTTP(status int) Cause { return Cause(httpPrefix + strconv.Itoa(status)) }

// Text says the cause in words that complete "the problem is that ...".
func (c Cause) Text() string {
	switch c {
	case CauseTimeout:
		return "the API does not answer in time"
	case CauseRefused:
		return "the API refuses connections"
	case CauseReset:
		return "the API drops connections"
	case CauseTruncated:
		return "the API's answers are cut off"
	case CauseNotVers:
		return "something other than the Vers API answers"
	case CauseRecorded:
		return "a gateway answers in the API's place, from its record"
	case CauseNoNetwork:
		return "this machine has no network"
	case CauseDNS:
		return "DNS fails"
	case CauseTLS:
		return "TLS fails"
	}
	if len(c) > len(httpPrefix) && c[:len(httpPrefix)] == httpPrefix && digits(string(c[len(httpPrefix):])) {
		return "the API answers " + string(c[len(httpPrefix):])
	}
	return "the API fails"
}

// Failure is what a process tells the memory about calls that failed.
type Failure struct {
	Cause  Cause
	Detail string        // one line for people, without secrets; cut to 200 bytes
	Local  bool          // trouble of this machine, not of the API
	After  time.Duration // wait the server asked for; 0 = none
	Calls  int           // calls that failed, retries included; less than 1 counts as 1
}

// Doc is a small file that all processes of a profile share, read at any time and updated under a lock, such as a
// document of the keystore. One that does not exist reads as fs.ErrNotExist. Its methods must be safe for concurrent
// use and must not wait for long.
type Doc interface {
	Read() ([]byte, error)
	Update(ctx context.Context, fn func(old []byte) ([]byte, error)) error
}

// lockWait bounds how long a command waits for another process that is updating the memory.
const lockWait = 2 * time.Second

// load reads the state; one that does not exist is a State in which nothing is known.
func (m *Memory) load() (State, error) {
	data, err := m.doc.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	return decodeState(data), err
}

// update changes the stored state, after dropping what cannot be true.
func (m *Memory) update(fn func(s *State, now time.Time) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	err := m.doc.Update(ctx, func(old []byte) ([]byte, error) {
		s, now := decodeState(old), m.now()
		if s.Version > stateVersion {
			return nil, errNewerState
		}
		s.Version = stateVersion
		s.distrust(now)
		if err := fn(&s, now); err != nil {
			return nil, err
		}
		return encodeState(s)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}
