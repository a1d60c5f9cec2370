// Package fleettest is what the tests of the rooms share: a World is a simulated
// platform and one machine that uses it, a Front stands between the two and may
// say what it likes. It is for tests only.
package fleettest
