package dest

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"", "/", "/etc/passwd", "..", "../x", "a/..", "a/../b", "a/../../x", ".", "./a", "a/./b", "a//b", "a/", "a\x00b",
		strings.Repeat("x", 256), "a/" + strings.Repeat("x", 256), strings.Repeat("d/", 2048) + "x", PartialPrefix, PartialPrefix + "0/f",
	} {
		if CheckName(name) == "" {
			t.Errorf("%.40q is taken", name)
		}
	}
	for _, name := range []string{"a", "a/b", "...", "..a", "-rf", "new\nline", "ünï", "bad\xff", "a/" + PartialPrefix, strings.Repeat("x", 255)} {
		if why := CheckName(name); why != "" {
			t.Errorf("%.40q is refused: %s", name, why)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		rel, target string
		bad, out    bool
	}{
		{"l", "", true, false},
		{"l", "a\x00b", true, false},
		{"l", strings.Repeat("z", 4097), true, false},
		{"l", "x", false, false},
		{"l", "./x/y", false, false},
		{"l", "..", false, true},
		{"l", "/etc/passwd", false, true},
		{"l", "//etc", false, true},
		{"l", "a/..", false, true}, // a may be a link to anywhere
		{"a/l", "../x", false, false},
		{"a/l", "..", false, false},
		{"a/l", "../..", false, true},
		{"a/l", "../b/../x", false, true},
		{"a/b/l", "../../x", false, false},
	} {
		if bad := BadTarget(c.target) != ""; bad != c.bad {
			t.Errorf("%.20q is a bad target: %v", c.target, bad)
		}
		if out := LeadsOut(c.rel, c.target) != ""; out != c.out {
			t.Errorf("%s -> %.20q leads out: %v", c.rel, c.target, out)
		}
	}
}
