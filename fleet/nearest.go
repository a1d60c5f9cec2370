package fleet

import (
	"slices"
	"strings"
)

// Nearest returns up to most of the candidates that a mistyped word may mean,
// the likeliest first, each once. Upper and lower case count as the same.
func Nearest(word string, candidates []string, most int) []string {
	type scored struct {
		word     string
		distance int
	}
	var all []scored
	folded := strings.ToLower(word)
	for _, c := range slices.Compact(slices.Sorted(slices.Values(candidates))) {
		if d := editDistance(strings.ToLower(c), folded); d <= max(2, len(word)/3) {
			all = append(all, scored{c, d})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.distance - b.distance })
	var out []string
	for _, s := range all[:min(most, len(all))] {
		out = append(out, s.word)
	}
	return out
}

// longWord is from how many runes on a word is like no other: nobody mistypes
// it, and comparing such words takes long.
const longWord = 64

// editDistance is the Levenshtein distance in runes.
func editDistance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > longWord || len(t) > longWord {
		return longWord
	}
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		diagonal := row[0]
		row[0] = i + 1
		for j := range t {
			cost := diagonal
			if s[i] != t[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(t)]
}
