package sshconn

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// stagger is the head start of an address over the next one (RFC 8305
// section 5 recommends 250 ms).
const stagger = 250 * time.Millisecond

// spareStart is the head start of the ways through TLS over one without. Only
// TLS says that the far end is the platform's: a bare address may be another
// host in the network this machine is in now, so it is for when the rest fails.
const spareStart = 2 * time.Second

// attempt tries one address to the end. turn is a token: whoever holds it may
// log in, so that a VM never sees two logins from one dial.
type attempt[T any] func(ctx context.Context, c candidate, turn chan struct{}) (T, error)

type outcome[T any] struct {
	value T
	err   error
}

// finalError ends a race: the right VM has answered, and no other address of
// it would answer differently.
type finalError struct{ err *Error }

func (f finalError) Error() string { return f.err.Error() }

// race tries the addresses of all endpoints side by side with staggered
// starts and returns the first success, or the most telling of the errors.
type race[T any] struct {
	try      attempt[T]
	discard  func(T)       // for a success that came too late
	queue    [][]candidate // by endpoint
	results  chan outcome[T]
	turn     chan struct{}
	spare    []bool // the endpoint waits for those with TLS
	late     bool   // spareStart is over
	heard    []bool // the endpoint's resolver has said something
	hurry    bool   // the first endpoints had their head start
	over     error  // not nil: the time for all of them is over
	looking  int    // resolvers still at work
	running  int
	failures []*Error
}

func runRace[T any](ctx context.Context, d *Dialer, endpoints []Endpoint, try attempt[T], discard func(T)) (T, error) {
	var zero T
	if len(endpoints) == 0 {
		return zero, newError(StageConfig, "", errNoEndpoint)
	}
	tries, stop := context.WithCancelCause(ctx)
	r := &race[T]{
		try:     try,
		discard: discard,
		queue:   make([][]candidate, len(endpoints)),
		results: make(chan outcome[T], 2*maxAddresses*len(endpoints)),
		turn:    make(chan struct{}, 1),
		spare:   make([]bool, len(endpoints)),
		heard:   make([]bool, len(endpoints)),
		looking: len(endpoints),
	}
	endpoints = slices.Clone(endpoints)
	slices.SortStableFunc(endpoints, func(a, b Endpoint) int { return cmp.Compare(a.spare(), b.spare()) })
	lookups := make(chan lookupResult, 2*len(endpoints))
	for i, e := range endpoints {
		r.spare[i] = e.spare() > endpoints[0].spare()
		go d.resolve(tries, i, e, func(f lookupResult) { lookups <- f })
	}
	whole, giveUp := d.deadline(stop)
	v, err := r.run(ctx, tries, lookups, whole, giveUp)
	stop(nil)
	if r.running > 0 {
		go r.drain()
	}
	return v, err
}

// drain waits for the attempts that were cancelled and drops what they made.
func (r *race[T]) drain() {
	for range r.running {
		if o := <-r.results; o.err == nil {
			r.discard(o.value)
		}
	}
}

// settle bounds the wait for what the attempts say that were stopped.
const settle = time.Second

// deadline returns the channel that tells when all of a dial took too long, and
// the function that stops it then.
func (d *Dialer) deadline(stop context.CancelCauseFunc) (<-chan time.Time, func() error) {
	after, limit := d.After, d.Timeouts.withDefaults().Whole
	if after == nil {
		after = time.After
	}
	return after(limit), func() error {
		late := &OverdueError{Limit: limit}
		stop(late)
		return late
	}
}

// run is the race until the first success, the last failure, the end of ctx or
// the dial's own, which stops the attempts and asks them how far they came.
func (r *race[T]) run(ctx, tries context.Context, lookups <-chan lookupResult, whole <-chan time.Time, stop func() error) (T, error) {
	var zero T
	head := time.NewTimer(0) // fires when the next address may start
	patience, late, ready := time.After(stagger), time.After(spareStart), false
	for {
		// While one address is logging in, no other is disturbed.
		if ready && len(r.turn) == 0 && r.start(tries) {
			ready = false
			head.Reset(stagger)
		}
		if r.looking == 0 && r.running == 0 && r.waiting() == 0 {
			return zero, r.failure()
		}
		select {
		case <-ctx.Done():
			return zero, context.Cause(ctx)
		case <-whole:
			if r.over != nil {
				return zero, r.failure()
			}
			r.over, whole = stop(), time.After(settle)
			clear(r.queue)
		case <-head.C:
			ready = true
		case <-patience:
			r.hurry = true
		case <-late:
			r.late = true
		case f := <-lookups:
			r.add(f)
		case o := <-r.results:
			r.running--
			if o.err == nil {
				return o.value, nil
			}
			if err := r.fail(o.err); err != nil {
				return zero, err
			}
			ready = true // a failure lets the next one start at once
		}
	}
}

func (r *race[T]) add(f lookupResult) {
	if r.over == nil {
		r.queue[f.index] = append(r.queue[f.index], f.candidates...)
	}
	r.heard[f.index] = true
	if f.err != nil {
		if r.over != nil {
			f.err.Err, f.err.Timeout = r.over, true
		}
		r.failures = append(r.failures, f.err)
	}
	if f.last {
		r.looking--
	}
}

// start launches the next address, taking endpoints in their order. For a
// moment it waits for the lookup of an earlier endpoint.
func (r *race[T]) start(ctx context.Context) bool {
	for i, q := range r.queue {
		if len(q) == 0 {
			if !r.heard[i] && !r.hurry {
				return false
			}
			continue
		}
		if r.spare[i] && !r.late && (r.running > 0 || r.looking > 0) {
			continue
		}
		r.queue[i] = q[1:]
		r.running++
		go func() {
			v, err := r.try(ctx, q[0], r.turn)
			r.results <- outcome[T]{value: v, err: err}
		}()
		return true
	}
	return false
}

func (r *race[T]) waiting() int {
	n := 0
	for _, q := range r.queue {
		n += len(q)
	}
	return n
}

// fail records a failure, or returns the one that ends the race.
func (r *race[T]) fail(err error) error {
	switch e := err.(type) {
	case finalError:
		return e.err
	case *Error:
		r.failures = append(r.failures, e)
		return nil
	}
	return err
}

func (r *race[T]) failure() error {
	if len(r.failures) == 0 { // its time was over before anything was tried
		return &Error{Stage: StageDNS, Err: r.over, Timeout: true}
	}
	slices.SortStableFunc(r.failures, func(a, b *Error) int { return cmp.Compare(b.rank(), a.rank()) })
	best := *r.failures[0]
	best.Others = r.failures[1:]
	if best.Timeout && r.over != nil {
		best.Err = r.over // what ended it all says more than a stage's own limit
	}
	return &best
}

// Limits of one dial: addresses per endpoint, and the time after which
// recorded addresses join in when the resolver has not answered.
const (
	maxAddresses = 8
	slowDNS      = 400 * time.Millisecond
)

// lookupResult is what a resolver goroutine reports: candidates to add to the race,
// or why there are none. last marks its final report.
type lookupResult struct {
	index      int // of the endpoint
	candidates []candidate
	err        *Error
	last       bool
}

// resolve reports the addresses of one endpoint. Recorded addresses are used
// when the resolver fails or is slow, and as a last resort after the
// resolver's own: its answer may come from a captive network.
func (d *Dialer) resolve(ctx context.Context, index int, e Endpoint, report func(lookupResult)) {
	host, port, err := net.SplitHostPort(e.Address)
	if err != nil {
		report(lookupResult{index: index, err: newError(StageConfig, e.Address, err), last: true})
		return
	}
	if e.Network != NetworkTLS && e.Network != NetworkTCP {
		report(lookupResult{index: index, err: newError(StageConfig, e.Address, errWrongKind), last: true})
		return
	}
	make1 := func(ips []netip.Addr) []candidate {
		var cs []candidate
		for _, ip := range ips {
			cs = append(cs, candidate{endpoint: e, host: host, ip: ip.String(), dial: net.JoinHostPort(ip.String(), port)})
		}
		return cs
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		report(lookupResult{index: index, candidates: make1([]netip.Addr{ip}), last: true})
		return
	}
	recorded := parseIPs(e.IPs)
	answer := d.lookupAsync(ctx, host)
	slow := time.NewTimer(slowDNS)
	defer slow.Stop()
	select {
	case a := <-answer:
		report(lookupResult{index: index, candidates: make1(merge(a.ips, recorded)), err: a.error(e, recorded), last: true})
		return
	case <-slow.C:
		if len(recorded) > 0 {
			report(lookupResult{index: index, candidates: make1(recorded)})
		}
	}
	a := <-answer
	fresh := slices.DeleteFunc(merge(a.ips, nil), func(ip netip.Addr) bool { return slices.Contains(recorded, ip) })
	report(lookupResult{index: index, candidates: make1(fresh), err: a.error(e, recorded), last: true})
}

type lookupAnswer struct {
	ips []netip.Addr
	err error
}

// error is nil when there is something to dial in spite of it.
func (a lookupAnswer) error(e Endpoint, recorded []netip.Addr) *Error {
	if a.err == nil || len(recorded) > 0 {
		return nil
	}
	return newError(StageDNS, e.Address, a.err)
}

func (d *Dialer) lookupAsync(ctx context.Context, host string) <-chan lookupAnswer {
	lookup := d.lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeouts.withDefaults().DNS)
	out := make(chan lookupAnswer, 1)
	go func() {
		defer cancel()
		ips, err := lookup(ctx, host)
		out <- lookupAnswer{ips: ips, err: err}
	}()
	return out
}

// merge puts the two families in turns, IPv6 first (RFC 8305 section 4), and
// appends the recorded addresses that are not among them.
func merge(ips, recorded []netip.Addr) []netip.Addr {
	var four, six, out []netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		if ip.Is4() {
			four = append(four, ip)
		} else {
			six = append(six, ip)
		}
	}
	for i := range max(len(four), len(six)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	for _, ip := range recorded {
		if !slices.Contains(out, ip) {
			out = append(out, ip)
		}
	}
	return out[:min(len(out), maxAddresses)]
}

func parseIPs(list []string) []netip.Addr {
	var ips []netip.Addr
	for _, s := range list {
		if ip, err := netip.ParseAddr(s); err == nil && len(ips) < maxAddresses {
			ips = append(ips, ip.Unmap())
		}
	}
	return ips
}
