package safe

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain",
		"é 日本 👩‍💻 ❤️‍🔥 1️⃣": "é 日本 👩‍💻 ❤️‍🔥 1️⃣",
		"\x1b]0;t\a":                   `\x1b]0;t\x07`,
		"a\nb\tc\rd":                   `a\nb\tc\rd`,
		"\u009b31m":                    `\x9b31m`,
		"\xff\xfe":                     `\xff\xfe`,
		"\xed\xa0\x80":                 `\xed\xa0\x80`, // a lone surrogate
		"a\u202eb\u2066\u200b":         `a\u202eb\u2066\u200b`,
		"\u200e\u200f\u061c\u2060":     `\u200e\u200f\u061c\u2060`,
		"a\u200cb\u200dc\ufe0fd":       `a\u200cb\u200dc\ufe0fd`,
		"\u2028\u2029\ufeff\u00ad":     `\u2028\u2029\ufeff\xad`,
		"\U000e0041\ue000\u3164\u034f": `\U000e0041\ue000\u3164\u034f`,
		"\u0085\x7f":                   `\x85\x7f`,
		strings.Repeat("x", 10_000):    strings.Repeat("x", 10_000),
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Text("a\r\n\tb\x1b\r"); got != "a\n\tb\\x1b\\r" {
		t.Errorf("Text: %q", got)
	}
	if got := OneLine(" a\x1b\n b\u202e\xff\u200bc "); got != "a bc" {
		t.Errorf("OneLine: %q", got)
	}
	for in, want := range map[string]string{"a b": "a b", "ü\"\\": "ü\"\\", "a\nb": `"a\nb"`, "a\u202e\u3164": `"a\u202e\u3164"`, "\xff": `"\xff"`} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"a\x1b[31m\u202e\xff", "", "wide: 日本語", "e\u0301\u200d👩\u200d🚀", "\r\n\t\x00\x7f\u0085\u2028\ufeff", "👩\ufe0f\ufe0f\u200d\u200d🚀", "\xed\xa0\x80", "\r\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, clean := range map[string]func(string) string{"Clean": Clean, "Text": Text, "OneLine": OneLine, "Line": Line} {
			got := clean(s)
			if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\r\x00\x07\x7f\u009b\u202e\u200b\u2028") || clean(got) != got && name != "Line" {
				t.Fatalf("%s(%q) = %q, then %q", name, s, got, clean(got))
			}
			if name != "Text" && strings.ContainsFunc(got, unicode.IsControl) {
				t.Fatalf("%s(%q) = %q holds a control character", name, s, got)
			}
		}
	})
}

func TestPlain(t *testing.T) {
	for _, s := range []string{"chad-dev", "marketing:/root/out/a.b_c", "müller", "日本", "ж", "a@b+c=d", "./x", "_x"} {
		if !Plain(s) {
			t.Errorf("%q is not plain", s)
		}
	}
	for _, s := range []string{"", "-o", "=ls", ":a", "@a", "+a", "a b", "a\nb", "$a", "`a`", "a'b", `a"b`, `a\b`, "a;b", "a&b", "a|b", "(a)", "{a,b}", "a!", "~a", "a~",
		"a*", "a?", "[a]", "#a", "%self", "a^b", "<a", ">a", "\x1b", "a\u202e", "a\u200b", "a\ufe0f", "\xff", "m\u0430rketing", "\uff4darketing", "a\u0301", "שלום", "a\u2013b", "\u3164"} {
		if Plain(s) {
			t.Errorf("%q is plain", s)
		}
	}
}

func TestSkeleton(t *testing.T) {
	for _, alike := range [][2]string{
		{"marketing", "m\u0430rk\u0435ting"}, {"marketing", "\uff4darketing"}, {"prod", "Prod"}, {"prod", "pr\u03bfd"}, {"prod", "pr0d"}, {"vml", "VM1"}, {"vml", "vmI"},
		{"a-b", "a\u2013b"}, {"file", "\ufb01le"}, {"mail", "\U0001d426ail"}, {"prod", "pro\u200bd"}, {"КОТ", "KOT"},
	} {
		if Skeleton(alike[0]) != Skeleton(alike[1]) {
			t.Errorf("%q is %q and %q is %q", alike[0], Skeleton(alike[0]), alike[1], Skeleton(alike[1]))
		}
	}
	for _, other := range [][2]string{{"chad-dev", "chad-fix"}, {"web-1", "web-2"}, {"müller", "muller"}, {"a_b", "a-b"}, {"prod", "prods"}} {
		if Skeleton(other[0]) == Skeleton(other[1]) {
			t.Errorf("%q and %q look alike: %q", other[0], other[1], Skeleton(other[0]))
		}
	}
}

func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"a/b.c": "a/b.c", "": "''", "-rf": "'-rf'", "$(x)": "'$(x)'", "~x": "'~x'", "a b": "'a b'", "it's": `'it'\''s'`, "-x": "'-x'", "--flag": "--flag", "=ls": "'=ls'", "%self": "'%self'",
		`a\b`: `'a'\\'b'`, "a!b": `'a'\!'b'`, "a\nb": "'a\nb'", "ü": "'ü'",
	} {
		if got := Word(in); got != want {
			t.Errorf("Word(%q) = %s, want %s", in, got, want)
		}
	}
	for want, words := range map[string][]string{"": nil, "a 'b c'": {"a", "b c"}, "''A=1 B=2": {"A=1", "B=2"}, Script("a 'b\nc'"): {"a", "b\nc"}} {
		if got := Words(words...); got != want {
			t.Errorf("Words(%q) = %s, want %s", words, got, want)
		}
	}
}

// Whatever is in a script, its line is one line of printable ASCII.
func FuzzScript(f *testing.F) {
	for _, seed := range []string{"echo 'a b' | cat\n", "", "$1 \\0 !! \xff", "it's\n\t\u202e`x`"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, script, arg string) {
		line := Script(script, arg)
		inner, ok := strings.CutPrefix(line, `exec sh -c 'eval "$(printf %b "`)
		inner, end := strings.CutSuffix(inner, `")"'`)
		if !ok || !end || strings.ContainsAny(inner, "'\"!`$\n") || !plainASCII(inner) {
			t.Fatalf("Script(%q, %q) = %s", script, arg, line)
		}
		var got strings.Builder
		for i := 0; i < len(inner); i++ {
			if inner[i] != '\\' {
				got.WriteByte(inner[i])
				continue
			}
			c, err := strconv.ParseUint(inner[i+2:i+5], 8, 8)
			if err != nil || inner[i+1] != '0' {
				t.Fatalf("%s: %v", inner, err)
			}
			got.WriteByte(byte(c))
			i += 4
		}
		if want := "set -- " + Word(arg) + "\n" + script; got.String() != want {
			t.Fatalf("it says %q, want %q", &got, want)
		}
	})
}

// Visible leaves out what Text shows escaped, and nothing else.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext":                     "plain\n\ttext",
		"漢字 ✓ é\n":                          "漢字 ✓ é\n",
		"a\x1b[31mb\u202ec\u200bd\x00\r\ne": "a[31mbcd\ne",
		"x\U000e0041y\ufeffz":               "xyz",
		"\xff":                              "\ufffd",
	} {
		if got := Visible(in); got != want || Visible(got) != got {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
