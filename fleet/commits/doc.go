// Package commits snapshots VMs exactly once: an intent is on disk before the
// first request leaves, a repeated request carries the same id, and what became
// of a lost answer is asked before anything is sent again. The queue is the
// intents that wait for the API. The commits that the platform has are listed
// with them, and recorded for an outage.
//
// It never connects to a VM.
package commits
