//go:build !unix

package private

// own is not known here, where connections are not shared either.
func own(string) bool { return false }
