// Package problem is the one error that people and scripts see: what happened,
// why, and what to do next, with a kind that decides the exit code. It also
// sums up the failures of work on many VMs, and is where that work fans out.
//
// Every room makes its errors here: Of is the beginning of each translation of
// a leaf's failure, OfStorage the whole translation of the keystore's, Sum the
// one way from many errors to one. It never prints, and knows nothing of what
// the rooms do.
package problem
