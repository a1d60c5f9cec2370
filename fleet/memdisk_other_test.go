//go:build !linux

package fleet_test

// useMemoryDisk does nothing where no such disk is known.
func useMemoryDisk() (clean func()) { return func() {} }
