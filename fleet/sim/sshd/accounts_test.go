package sshd

import "testing"

func TestEditAccount(t *testing.T) {
	unlock := func(fields []string) bool { fields[1] = "*"; return true }
	for _, c := range []struct{ name, text, want string }{
		{"locked root", "root:!:19000:0\nsshd:!:1:0\n", "root:*:19000:0\nsshd:!:1:0\n"},
		{"a longer name first", "rooty:!:1\nroot:!x:2\n", "rooty:!:1\nroot:*:2\n"},
		{"not there", "someone:!:1\n", ""},
		{"broken line", "root\n", ""},
	} {
		if got, changed := editAccount(c.text, "root", unlock); got != c.want || changed != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, changed)
		}
	}
	if _, changed := editAccount("root:x:1\n", "root", func([]string) bool { return false }); changed {
		t.Error("an unwanted edit was made")
	}
}
