package retry

import "sync"

// Budget is a token bucket that bounds the retries of all calls sharing it. It starts full. Each retry takes one
// token, each success gives a fraction back. It is safe for concurrent use; a nil *Budget is unlimited.
type Budget struct {
	mu         sync.Mutex
	tokens     float64
	capacity   float64
	perSuccess float64
}

// NewBudget returns a full bucket of capacity tokens to which every success adds perSuccess. Negative numbers
// count as zero.
func NewBudget(capacity int, perSuccess float64) *Budget {
	c := float64(max(capacity, 0))
	return &Budget{tokens: c, capacity: c, perSuccess: max(perSuccess, 0)}
}

// Take takes one token and reports whether there was one.
func (b *Budget) Take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Success gives back what one successful call is worth.
func (b *Budget) Success() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.capacity, b.tokens+b.perSuccess)
}
