// Package wan puts distance between two programs on one machine: a TCP relay
// on loopback that delays every byte by half a round trip, in order and at
// full throughput, optionally over a link of limited speed. Kernels without
// netem, and test runs without root, need no more than this.
//
// What it models: the round trip of the TCP handshake, delay in both
// directions, slow start (RFC 6928's initial window of 10 segments, doubled
// each round trip, RFC 5681), a link speed shared by all connections, half-close,
// resets. What it does not: packet loss, and the reset that a listener sends
// while the handshake is under way (a refused target shows one round trip later
// as a reset).
//
// It never looks into the bytes and knows nothing of TLS or SSH.
package wan
