//go:build !unix

package keystore

// setUmask does nothing where there is no umask.
func setUmask(int) {}
