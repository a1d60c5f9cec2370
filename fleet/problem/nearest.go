package problem

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
		if d := editDistance(strings.ToLower(c), folded); d <= slips(word) || len(word) > 1 && strings.HasPrefix(strings.ToLower(c), folded) {
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

// slips is how many of them a mistyped word may hold: with two, a word of three
// letters could be almost any.
func slips(word string) int {
	if len(word) <= 3 {
		return 1
	}
	return max(2, len(word)/3)
}

// longWord is from how many runes on a word is like no other: nobody mistypes
// it, and comparing such words takes long.
const longWord = 64

// editDistance counts what turns one word into the other: runes replaced, added
// or left out, and neighbours that changed places.
func editDistance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > longWord || len(t) > longWord {
		return longWord
	}
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			row[j+1] = last[j]
			if s[i] != t[j] {
				row[j+1] = 1 + min(last[j], last[j+1], row[j])
			}
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], 1+before[j-1])
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
