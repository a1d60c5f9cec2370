//go:build !linux

package simtest

import "testing"

// BlackHole is an address of TEST-NET-1, which no host has (RFC 5737).
func BlackHole(testing.TB, string) string { return "192.0.2.1:80" }
