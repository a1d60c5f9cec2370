package cmd

import (
	"slices"
	"testing"
)

func TestReadLine(t *testing.T) {
	const breaks = " \t\n\"'@><=;|&(:" // bash's own
	for line, want := range map[string][]string{
		"vers-fleet ":                       {"vers-fleet", ""},
		"vers-fleet ssh mark":               {"vers-fleet", "ssh", "mark"},
		`a b\ c 'd e' "f g" h'i'\j "\$k\l"`: {"a", "b c", "d e", "f g", "hij", `$k\l`},
		`a "open word`:                      {"a", "open word"},
		`a 'b\`:                             {"a", `b\`},
		`a b\`:                              {"a", "b"},
		"a $(b c; d) e`f g`h":               {"a", "$(b c; d)", "e`f g`h"},
		`a "$(b "c d")/x" y`:                {"a", `$(b "c d")/x`, "y"},
		"a <(b c) d":                        {"a", "<(b c)", "d"},
		"a 2>/dev/null b >&2 c":             {"a", "/dev/null", "b", "2", "c"},
		"a $x ${y} ~z *":                    {"a", "$x", "${y}", "~z", "*"},
	} {
		words, ok := readLine(line, breaks)
		var got []string
		for _, w := range words {
			got = append(got, w.text)
		}
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, ok, want)
		}
	}
	for _, line := range []string{"a; b", "a | b", "a && b", "a $(b", "a `b", "a (b"} {
		if words, ok := readLine(line, breaks); ok {
			t.Errorf("%s: %v", line, words)
		}
	}
}

// FuzzBackslashed: bash, and we, read back what was quoted; and every beginning
// of it, which bash inserts where several have it in common, is quoted too.
func FuzzBackslashed(f *testing.F) {
	for _, seed := range []string{"$(touch x)", "a'b\"c`d", `\\`, "ü b", "!!", "{a,b}~*?[#]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := backslashed(s)
		for n := range len(q) + 1 {
			words, ok := readLine("x "+q[:n], "")
			if !ok || len(words) != 2 || len(words[1].text) > len(s) || words[1].text != s[:len(words[1].text)] {
				t.Fatalf("%q, of %q: %+v %v", q[:n], s, words, ok)
			}
		}
		if words, _ := readLine("x "+q, ""); words[1].text != s {
			t.Fatalf("%q: %q", s, words[1].text)
		}
	})
}

func TestBashOffer(t *testing.T) {
	all := []offered{{"vm:a b/", "x"}, {"vm:a;b", "y"}, {"vm:c", ""}}
	find := func([]string, string) ([]offered, bool) { return all, false }
	for _, c := range []struct {
		line string
		kind int
		want []string
	}{
		{"f pull vm:", 9, []string{`a\ b/`, `a\;b`, "c"}},
		{"f pull vm:a", 9, []string{`a\ b/`, `a\;b`}},
		{`f pull vm:a\ `, 9, []string{`a\ b/`}},
		{`f pull "vm:a`, 9, nil}, // a quote is open: nothing is inserted into it
		{`f pull vm\:a`, 9, nil},
		{"f pull vm:a", bashLists, []string{`a\ b/  (x)`, `a\;b   (y)`}},
		{"f pull vm:c", bashLists, []string{"c"}},
		{"f x; pull vm:", 9, nil},
	} {
		got, _ := bashOptions{line: c.line, breaks: ":=", kind: c.kind, columns: 80}.offer(find)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
}
