package api

import (
	"net/http"
	"strings"
)

// AsOfHeader is the header with which a gateway of this program marks an answer
// that it gives in the API's place: the moment at which it was true, RFC 3339.
const AsOfHeader = "Vers-Fleet-As-Of"

// Recorded reports whether an answer comes from what somebody recorded, and not
// from the API now: it says since when, or a cache on the way says that it was
// stale (RFC 9211, section 2.1 and 2.4: a hit whose ttl is negative).
func Recorded(h http.Header) bool {
	if h.Get(AsOfHeader) != "" {
		return true
	}
	for _, line := range h.Values("Cache-Status") {
		for member := range strings.SplitSeq(line, ",") {
			hit, stale := false, false
			for part := range strings.SplitSeq(member, ";") {
				part = strings.TrimSpace(part)
				hit = hit || part == "hit"
				stale = stale || strings.HasPrefix(part, "ttl=-")
			}
			if hit && stale {
				return true
			}
		}
	}
	return false
}
