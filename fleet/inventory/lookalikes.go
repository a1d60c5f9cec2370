package inventory

import (
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// markLookalikes notes at each VM the name of another one for which its own can
// be taken. A name that can be typed on any keyboard is only marked if it looks
// like another such name: of marketing and one with a Cyrillic letter in it, the
// latter is.
func markLookalikes(vms []VM) {
	type called struct {
		name string
		vm   int
	}
	first := make(map[string]called, len(vms)) // by what a name looks like
	alike := map[string][]called{}             // where that is not one VM's alone
	for i := range vms {
		for _, n := range vms[i].Names {
			look, c := safe.Skeleton(n.Name), called{n.Name, i}
			other, seen := first[look]
			switch {
			case !seen:
				first[look] = c
			case alike[look] == nil:
				alike[look] = []called{other, c}
			default:
				alike[look] = append(alike[look], c)
			}
		}
	}
	for _, group := range alike {
		for _, mine := range group {
			for _, other := range group {
				typed := ascii(other.name)
				if other.vm != mine.vm && other.name != mine.name && (typed || !ascii(mine.name)) && (typed || vms[mine.vm].LooksLike == "") {
					vms[mine.vm].LooksLike = other.name
				}
			}
		}
	}
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
