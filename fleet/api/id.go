package api

import "strings"

// ValidID reports whether s is an id in the only form that may reach a path or
// a host name: a lower-case UUID with dashes.
func ValidID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// NormalizeID returns s as a valid id, accepting capital letters and
// surrounding space, and whether it is one.
func NormalizeID(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if !ValidID(s) {
		return "", false
	}
	return s, true
}
