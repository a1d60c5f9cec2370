//go:build !linux

package fleet_test

import "testing"

// blackHole is an address of TEST-NET-1, which no host has (RFC 5737).
func blackHole(*testing.T) string { return "192.0.2.1:80" }
