package safe

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Plain reports whether s may be offered to a shell for completion as it
// stands: it means itself, unquoted or in any quotes, to bash, zsh, fish and
// PowerShell, is no option, shows as it is and resembles nothing else. That is
//
//   - the ASCII letters and digits, and _ - . / : @ + =, of which a word begins
//     with a letter, a digit, _ . or /;
//   - letters and digits of Latin (to U+017F), Greek, Cyrillic, Han, Hiragana,
//     Katakana and Hangul, unless [Skeleton] takes them for another.
//
// A name that is not plain is not offered; a VM has an id that can be typed.
func Plain(s string) bool {
	if s == "" || strings.ContainsRune("-:@+=", rune(s[0])) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) })
}

func plain(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r < 0x80:
		return strings.ContainsRune("_-./:@+=", r)
	case r <= 0x17f || unicode.In(r, unicode.Greek, unicode.Cyrillic, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
		return !Hidden(r) && unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lo) && Skeleton(string(r)) == string(unicode.ToLower(r))
	}
	return false
}

// Skeleton is what s looks like: two names with one skeleton can be taken for
// each other. It leaves out what is hidden, undoes what Unicode calls compatible
// (NFKC: full-width, mathematical and other styles of letters, ligatures) and
// the difference of case, and takes for the Latin letter or sign the commonest
// that look like it: of Cyrillic and Greek, of phonetic and Armenian letters,
// of dashes, and 0, 1, I and | of ASCII. Of the whole of Unicode's list
// (UTS #39) this is what can be told in a table of some lines.
func Skeleton(s string) string {
	if !plainASCII(s) {
		s = norm.NFKC.String(s)
	}
	return strings.Map(func(r rune) rune {
		if r := lookalike(r); r != 0 {
			return r
		}
		if Hidden(r) {
			return -1
		}
		r = unicode.ToLower(r)
		if other := lookalike(r); other != 0 {
			return other
		}
		return r
	}, s)
}

// lookalike is the letter that r is taken for, 0 if r is what it looks like.
func lookalike(r rune) rune {
	if r < 0x80 && r != '0' && r != '1' && r != 'I' && r != '|' {
		return 0
	}
	for entry := range strings.FieldsSeq(lookalikes) {
		if strings.ContainsRune(entry[1:], r) {
			return rune(entry[0])
		}
	}
	return 0
}

// lookalikes has for each letter or sign of ASCII those that look like it, by
// code point, as nobody could read them: Cyrillic, Greek, others.
const lookalikes = "a\u0410\u0430\u0391\u03b1\u0251 b\u0412\u0432\u044c\u0392 c\u0421\u0441\u1d04 d\u0500\u0501 e\u0415\u0435\u0395\u03b5 " +
	"g\u0261\u0581 h\u041d\u043d\u04ba\u04bb\u0397\u0570 i\u0456\u03b9\u0131\u0269\u026a j\u0408\u0458\u03f3\u0237\u0575 " +
	"k\u041a\u043a\u039a\u03ba\u0138\u1d0b l1I|\u0406\u04c0\u04cf\u0399\u01c0 m\u041c\u043c\u039c\u1d0d n\u043f\u039d\u03b7\u0578\u0274 " +
	"o0\u041e\u043e\u039f\u03bf\u0585\u1d0f p\u0420\u0440\u03a1\u03c1 q\u051a\u051b\u0566 r\u0433 s\u0405\u0455\ua731 t\u0422\u0442\u03a4\u03c4\u1d1b " +
	"u\u03c5\u03bc\u057d\u1d1c v\u0474\u0475\u03bd\u1d20 w\u051c\u051d\u03c9\u1d21 x\u0425\u0445\u03a7\u03c7 y\u0423\u0443\u04ae\u04af\u03a5\u03b3\u028f " +
	"z\u0396\u1d22 -\u2010\u2012\u2013\u2014\u2015\u2043\u2212 /\u2044\u2215 :\u2236"
