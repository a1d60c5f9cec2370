package wan

// Drop resets every connection that is open now.
func (r *Relay) Drop() {
	r.mu.Lock()
	pipes := make([]*pipe, 0, len(r.pipes))
	for p := range r.pipes {
		pipes = append(pipes, p)
	}
	r.mu.Unlock()
	for _, p := range pipes {
		p.cut()
	}
}

// CutAfter resets every open connection once n more bytes were handed to
// clients, counted over all connections. It works once; 0 calls it off.
func (r *Relay) CutAfter(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cutLeft = max(n, 0)
}

// Refuse makes the relay reset new connections while on is true.
func (r *Relay) Refuse(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = on
}

// BlackHole makes every open connection, and every one made while on is true,
// go silent for good: neither bytes nor the end pass any more, as when a
// router on the way lost its state. Connections made afterwards work.
func (r *Relay) BlackHole(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hole = on; on {
		for p := range r.pipes {
			p.lost.Store(true)
		}
	}
}

// Pause holds all bytes back while on is true and delivers them afterwards, as
// a link does that was down for a moment.
func (r *Relay) Pause(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case on && r.resume == nil:
		r.resume = make(chan struct{})
	case !on && r.resume != nil:
		close(r.resume)
		r.resume = nil
	}
}

// pausing returns the channel that ends the pause, or nil.
func (r *Relay) pausing() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resume
}

// allow tells how many of n bytes towards a client may pass before a planned
// cut, and whether the cut is due after them.
func (r *Relay) allow(n int) (pass int, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cutLeft == 0 {
		return n, false
	}
	if int64(n) < r.cutLeft {
		r.cutLeft -= int64(n)
		return n, false
	}
	n = int(r.cutLeft)
	r.cutLeft = 0
	return n, true
}
