package api

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// clean makes foreign text fit for a terminal and a log, at most limit runes.
func clean(s string, limit int) string { return shorten(safe.OneLine(s), limit) }

func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// maxMessage bounds the server's words in an error, in runes.
const maxMessage = 200

// clean is the function of the same name, and removes this call's token and
// whatever else looks like a key. Secrets go after the invisible runes, which
// could hide them, and before the cut, which could halve them.
func (a *attempt) clean(s string) string {
	const enough = 20 * maxMessage // of bytes, however much of them is redacted
	s = safe.OneLine(s[:min(len(s), enough)])
	return shorten(redact(s, a.secret), maxMessage)
}

const redacted = "[redacted]"

// secretShapes are the forms of keys not known by value: a PEM private key
// (perhaps cut off), runs of hex as in API keys, runs of base64. Ids have
// dashes and are left alone.
var secretShapes = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`),
		regexp.MustCompile(`[0-9A-Fa-f]{32,}`),
		regexp.MustCompile(`[A-Za-z0-9+/=]{40,}`),
	}
})

// redact takes out the secret, or a piece of it, and what has the shape of one.
func redact(s, secret string) string {
	s = mask(s, secret)
	for _, shape := range secretShapes() {
		s = shape.ReplaceAllString(s, redacted)
	}
	return s
}

// secretPart returns what of a token may not be shown. Of an API key,
// <owner uuid><64 hex> (docs/platform.md), the owner's id may.
func secretPart(token string) string {
	if len(token) > 36 && ValidID(strings.ToLower(token[:36])) {
		return token[36:]
	}
	return token
}

// maskedPiece is the shortest piece of a secret that is taken out, and
// shortestSecret the length below which a token is no secret, but part of many
// words.
const (
	maskedPiece    = 12
	shortestSecret = 6
)

// mask takes out every piece of the secret, also one that is broken over lines
// or padded with spaces.
func mask(s, secret string) string {
	if len(secret) < shortestSecret {
		return s
	}
	size := min(maskedPiece, len(secret))
	pieces := map[string]bool{}
	for i := range len(secret) - size + 1 {
		pieces[secret[i:i+size]] = true
	}
	var dense []byte // s without spaces
	var at []int     // where in s each byte of dense is
	for i := range len(s) {
		if s[i] != ' ' {
			dense, at = append(dense, s[i]), append(at, i)
		}
	}
	var out strings.Builder
	kept, found := 0, 0 // s[:kept] is dealt with; found is the end of the last piece in dense
	for i := range len(dense) - size + 1 {
		if !pieces[string(dense[i:i+size])] {
			continue
		}
		if found == 0 || i > found { // a new run of pieces
			out.WriteString(s[kept:at[i]] + redacted)
		}
		found = i + size
		kept = at[found-1] + 1
	}
	return out.String() + s[kept:]
}
