// Package retry decides when a failed call is made again, and remembers outages so that the next process does not
// have to find out once more.
//
// It owns the backoff, the reading of Retry-After, the retry budget and the outage memory. It never opens a network
// connection or a file: calls are functions handed to [Do], and the memory is kept in a [Doc] that somebody else
// writes durably.
//
// # Backoff
//
// [Do] uses exponential backoff with full jitter: before attempt n+1 it waits a uniformly random time between zero
// and min(Cap, Base*2^(n-1)). The algorithm and the measurements behind it are those of "Exponential Backoff And
// Jitter" (Marc Brooker, AWS Architecture Blog, 2015), where full jitter has clients do the least work. An error says
// through [Hint] whether it may go away by itself; it is repeated only if it may, and if the call is idempotent or
// certainly did not reach the server.
//
// # Waits the server asks for
//
// Retry-After is read as RFC 9110 section 10.2.3 defines it: a number of seconds or an HTTP date in any of the three
// forms of section 5.6.7 (IMF-fixdate, RFC 850, asctime). Retry-After-Ms, which some services send and their SDKs
// honour, is more precise and wins. A server-sent wait is never shortened, up to a year; jitter
// is added to it, up to as long again or up to the backoff's own bound, because all clients that were told the same
// moment would otherwise return in one wave. When it does not fit into what the caller has left, [Do] stops at once and [Exhausted] says until when
// the server wants to be left alone.
//
// # Limits
//
// A call is limited by its context, by Policy.MaxElapsed, by Policy.MaxAttempts and by a [Budget], a token bucket
// shared by the calls of one process: when most calls fail, retries stop multiplying the load (the same idea as
// "retry throttling" in gRPC, gRFC A6).
//
// # Outage memory
//
// [Memory] is the state of the API as all processes of a profile see it. It is opened by the first call that failed
// for good, and closed by the first that succeeds. While it is open, processes answer from what is recorded, and one
// at a time, holding a lease inside the state, makes a single probing attempt. Probes start 15 s apart and double to
// 60 s, jittered by a quarter either way. A prober that dies loses its lease by time. Moments that lie further ahead
// than any of this could have put them come from a clock that was set back: they are dropped, so that no clock can
// keep an outage open.
//
// Trouble of this machine (no network, DNS, TLS) is remembered beside it, with a short hold of its own, and is never
// counted as an outage.
package retry
