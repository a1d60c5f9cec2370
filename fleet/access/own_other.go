//go:build !unix

package access

// own is not known here, where connections are not shared either.
func own(string) bool { return false }
