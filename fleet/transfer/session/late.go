package session

import (
	"fmt"
	"sync"
	"time"
)

const (
	// Patience is how long a VM that owes something may bring nothing.
	Patience = 60 * time.Second
	// MinRate is the bytes a second that keep it from running out. A tenth of what
	// the slowest link that anybody uses carries, with all sessions at work.
	MinRate = 64
	// slowRead is the bytes a second that a VM reads and hashes at least.
	slowRead = 1 << 20
)

// ToRead is how long a VM may work in silence on so many bytes of its own.
func ToRead(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / slowRead * float64(time.Second))
}

// LateError ends a session in which the VM owes something and brings less than
// MinRate. It matches ErrStalled.
type LateError struct{ What string }

func (e *LateError) Error() string {
	return fmt.Sprintf("the VM is late with %s: less than %d bytes a second for %v", e.What, MinRate, Patience)
}

// Is makes the error match ErrStalled.
func (e *LateError) Is(target error) bool { return target == ErrStalled }

// account tells whether a VM is late. Its patience runs only while this end waits
// for the VM and the VM owes something, and what comes fills it up again. Safe for
// concurrent use.
type account struct {
	mu    sync.Mutex
	left  time.Duration
	at    time.Time // when left was reckoned
	begun bool      // before that nothing runs
	waits int       // those at this end who wait for the VM
	quiet bool      // nothing is owed
	what  string    // is owed
}

func newAccount() *account {
	return &account{left: Patience, at: time.Now(), what: "an answer"}
}

// reckon brings left up to date.
func (a *account) reckon() {
	now := time.Now()
	if a.begun && a.waits > 0 && !a.quiet {
		a.left -= now.Sub(a.at)
	}
	a.at = now
}

// begin lets the time run.
func (a *account) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reckon()
	a.begun = true
}

// wait notes that somebody here begins (1) or ends (-1) to wait.
func (a *account) wait(more int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reckon()
	a.waits += more
}

// came notes what the VM brought or took, which fills its patience up to most.
func (a *account) came(bytes int, most time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reckon()
	if more := time.Duration(bytes) * time.Second / MinRate; a.left < most {
		a.left = min(most, a.left+more)
	}
}

// due notes what is owed, and for how long that may need silent work.
func (a *account) due(what string, work time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reckon()
	if a.quiet {
		a.quiet, a.left = false, max(a.left, Patience)
	}
	a.what, a.left = what, a.left+work
}

// rest notes that nothing is owed.
func (a *account) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reckon()
	a.quiet = true
}

// late is the error if the patience is at its end, else nil.
func (a *account) late() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reckon(); a.left > 0 {
		return nil
	}
	return &LateError{a.what}
}
