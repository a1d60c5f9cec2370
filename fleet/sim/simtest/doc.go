// Package simtest starts simulated platforms for tests, so that each test says
// only what is particular about its own. It owns the rule for machines that
// lack a program: the test is left out, or fails under CI=true. It is for tests
// only.
package simtest
