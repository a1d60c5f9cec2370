package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestSummarise(t *testing.T) {
	in := `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: needs root\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:2: broken\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestC","Elapsed":0.2}
{"Action":"pass","Package":"p","Test":"TestD/slow/er","Elapsed":1.5}
{"Action":"pass","Package":"p","Test":"TestD/slow","Elapsed":1.5}
{"Action":"pass","Package":"p","Test":"TestD","Elapsed":1.6}
{"Action":"pass","Package":"p","Test":"TestE","Elapsed":2}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.2s\n"}
{"Action":"pass","Package":"q"}
not json
`
	var out strings.Builder
	failed := summarise(strings.NewReader(in), func(f string, a ...any) { fmt.Fprintf(&out, f+"\n", a...) }).failed
	want := "    b_test.go:2: broken\nFAIL\nFAIL\tp\t0.1s\nok  \tq\t0.2s\nnot json\n\n" +
		"5 tests passed, 1 left out, 2 failures\n  left out: p TestA: a_test.go:1: needs root\n" +
		"  slow: 2.0 s p TestE\n  slow: 1.5 s p TestD/slow/er\n"
	if got := out.String(); got != want || failed != 2 {
		t.Errorf("%d failed, got:\n%s\nwant:\n%s", failed, got, want)
	}
}

// Only a failure that chance may explain gets another try.
func TestWorthAnother(t *testing.T) {
	event := func(pkg, test, action, output string) string {
		return fmt.Sprintf(`{"Action":%q,"Package":%q,"Test":%q,"Output":%q}`+"\n", action, pkg, test, output)
	}
	ends := event("p", "TestA/x", "fail", "") + event("p", "TestA", "fail", "")
	many := ""
	for i := range few + 1 {
		many += event("p", fmt.Sprintf("Test%d", i), "fail", "")
	}
	for what, c := range map[string]struct{ in, want string }{
		"nothing":          {event("p", "TestA", "pass", ""), ""},
		"a test":           {ends + event("p", "", "fail", ""), "p TestA\n"},
		"a race":           {event("p", "TestA/x", "output", "WARNING: DATA RACE\n") + ends + event("p", "", "fail", ""), ""},
		"a panic":          {event("p", "TestA", "output", "panic: runtime error\n") + ends + event("p", "", "fail", ""), ""},
		"a package":        {ends + event("p", "", "fail", "") + event("q", "", "fail", ""), ""},
		"no build":         {ends + `{"Action":"build-fail","ImportPath":"q"}` + "\n", ""},
		"more than chance": {many + event("p", "", "fail", ""), ""},
	} {
		got := summarise(strings.NewReader(c.in), func(string, ...any) {}).worthAnother()
		if got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
