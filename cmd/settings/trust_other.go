//go:build !unix

package settings

// distrusted does nothing: access is governed by ACLs that the folder inherits
// from the user's profile.
func distrusted(string) error { return nil }
