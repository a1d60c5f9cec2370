package ui

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

type row struct {
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Size   int       `json:"size"`
	Source string    `json:"source"`
	AsOf   time.Time `json:"as_of"`
}

var noon = time.Date(2026, 2, 24, 12, 0, 0, 0, time.UTC)

func rows() Listing[row] {
	return Listing[row]{
		Columns: []Column[row]{
			{Header: "NAME", Value: func(r row) string { return r.Name }},
			{Header: "STATE", Value: func(r row) string { return r.State }, Style: func(r row) Style {
				if r.State == "running" {
					return Good
				}
				return Bad
			}},
			{Header: "SIZE", Right: true, Value: func(r row) string { return Bytes(int64(r.Size)) }},
			{Header: "SEEN", Time: func(r row) time.Time { return r.AsOf }},
			{Header: "SOURCE", Wide: true, Value: func(r row) string { return r.Source }},
		},
		Name:  func(r row) string { return r.Name },
		Empty: "no VMs",
		Now:   func() time.Time { return noon },
	}
}

func someRows() []row {
	return []row{
		{"marketing", "running", 512, "live", noon.Add(-3 * time.Minute)},
		{"日本\x1b[31m\u202eevil", "dead\tgone", 5 << 20, "cache", time.Time{}},
	}
}

func TestListing(t *testing.T) {
	for _, c := range []struct {
		name, output, jq, tmpl string
		terminal               bool
		width                  int
		want                   string
	}{
		{name: "pipe", want: "marketing\trunning\t512 B\t2026-02-24T11:57:00Z\n" +
			"日本\\x1b[31m\\u202eevil\tdead\\tgone\t5.0 MiB\t-\n"},
		{name: "pipe wide", output: "wide", want: "marketing\trunning\t512 B\t2026-02-24T11:57:00Z\tlive\n" +
			"日本\\x1b[31m\\u202eevil\tdead\\tgone\t5.0 MiB\t-\tcache\n"},
		{name: "terminal", terminal: true, width: 80, want: "" +
			"NAME                    STATE          SIZE  SEEN\n" +
			"marketing               running       512 B  3 minutes ago\n" +
			"日本\\x1b[31m\\u202eevil  dead\\tgone  5.0 MiB  -\n"},
		{name: "narrow terminal", terminal: true, width: 40, want: "" +
			"NAME         STATE        SIZE  SEEN\n" +
			"marketing    running     512 B  3 minut…\n" +
			"日本\\x1b[3…  dead\\tg…  5.0 MiB  -\n"},
		{name: "name", output: "name", want: "marketing\n日本\\x1b[31m\\u202eevil\n"},
		{name: "jsonl", output: "jsonl", want: `{"name":"marketing","state":"running","size":512,"source":"live","as_of":"2026-02-24T11:57:00Z"}` + "\n" +
			`{"name":"日本\u001b[31m\u202eevil","state":"dead\tgone","size":5242880,"source":"cache","as_of":"0001-01-01T00:00:00Z"}` + "\n"},
		{name: "jq", jq: `.[] | select(.size > 600) | .source`, want: "cache\n"},
		{name: "jq object", jq: `.[0] | {name, size}`, want: `{"name":"marketing","size":512}` + "\n"},
		{name: "template", tmpl: `{{range .}}{{.state}};{{end}}`, want: "running;dead\tgone;"},
		{name: "template on a terminal", terminal: true, width: 80, tmpl: `{{range .}}{{.name}};{{end}}`, want: "marketing;日本\\x1b[31m\\u202eevil;"},
		{name: "yaml", output: "yaml", want: "- name: marketing\n  state: running\n  size: 512\n  source: live\n  as_of: \"2026-02-24T11:57:00Z\"\n" +
			"- name: \"日本\\e[31m\\u202eevil\"\n  state: \"dead\\tgone\"\n  size: 5242880\n  source: cache\n  as_of: \"0001-01-01T00:00:00Z\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := ParseFormat(c.output, c.jq, c.tmpl)
			if err != nil {
				t.Fatal(err)
			}
			s, b := Fake(c.terminal, c.width)
			s.Configure(Rules{NoColor: true})
			if err := rows().Print(s, f, someRows()); err != nil {
				t.Fatal(err)
			}
			if got := b.Out.String(); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			if c.terminal {
				for line := range strings.Lines(b.Out.String()) {
					if w := Width(strings.TrimRight(line, "\n")); w > c.width {
						t.Errorf("%d columns in a terminal of %d: %q", w, c.width, line)
					}
				}
			}
		})
	}
}

func TestEmptyListing(t *testing.T) {
	for output, want := range map[string]string{"json": "[]\n", "yaml": "[]\n", "jsonl": "", "name": "", "": ""} {
		f, err := ParseFormat(output, "", "")
		if err != nil {
			t.Fatal(err)
		}
		s, b := Fake(false, 0)
		if err := rows().Print(s, f, nil); err != nil {
			t.Fatal(err)
		}
		if got := b.Out.String(); got != want {
			t.Errorf("-o %s: got %q, want %q", output, got, want)
		}
		if said := b.Err.String(); (output == "") != (said == "no VMs\n") {
			t.Errorf("-o %s: stderr %q", output, said)
		}
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		name       string
		rules      Rules
		env        map[string]string
		terminal   bool
		wantColour bool
	}{
		{"terminal", Rules{}, nil, true, true},
		{"pipe", Rules{}, nil, false, false},
		{"--no-color", Rules{NoColor: true}, nil, true, false},
		{"NO_COLOR", Rules{}, map[string]string{"NO_COLOR": "1"}, true, false},
		{"empty NO_COLOR", Rules{}, map[string]string{"NO_COLOR": ""}, true, true},
		{"dumb", Rules{}, map[string]string{"TERM": "dumb"}, true, false},
		{"no TERM", Rules{}, map[string]string{"TERM": ""}, true, runtime.GOOS == "windows"},
		{"CI", Rules{}, map[string]string{"CI": "true"}, true, false},
		{"CI=false", Rules{}, map[string]string{"CI": "false"}, true, true},
	} {
		s, b := Fake(c.terminal, 80)
		s.getenv = func(k string) string {
			if v, ok := c.env[k]; ok {
				return v
			}
			return fakeEnv(k)
		}
		s.Configure(c.rules)
		if err := rows().Print(s, Format{}, someRows()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.Out.String(), "\x1b[32mrunning\x1b[0m"); got != c.wantColour {
			t.Errorf("%s: colour %v, want %v", c.name, got, c.wantColour)
		}
		if !c.wantColour && strings.Contains(b.Out.String(), "\x1b") {
			t.Errorf("%s: escape sequences in %q", c.name, b.Out)
		}
	}
}

func TestValue(t *testing.T) {
	v := Value{
		JSON: struct {
			A int `json:"a"`
		}{1},
		Name: "x",
		Text: func(w *Text) {
			w.Field("api", Good, "up\x1b")
			w.Rows([]string{"A", "B"}, [][]string{{"1", "2"}})
		},
	}
	for _, c := range []struct {
		output   string
		terminal bool
		want     string
	}{
		{"", false, "api\tup\\x1b\n1\t2\n"},
		{"", true, "api:            \x1b[32mup\\x1b\x1b[0m\n\x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m\n1  2\n"},
		{"json", false, "{\n  \"a\": 1\n}\n"},
		{"yaml", false, "a: 1\n"},
		{"name", false, "x\n"},
	} {
		f, err := ParseFormat(c.output, "", "")
		if err != nil {
			t.Fatal(err)
		}
		s, b := Fake(c.terminal, 80)
		if err := v.Print(s, f); err != nil {
			t.Fatal(err)
		}
		if got := b.Out.String(); got != c.want {
			t.Errorf("-o %q: got %q, want %q", c.output, got, c.want)
		}
	}
}

func TestRuntimeFormatErrors(t *testing.T) {
	for _, c := range [][2]string{{".[0].name.x", ""}, {"", "{{index . 99}}"}} {
		f, err := ParseFormat("", c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		s, _ := Fake(false, 0)
		if _, ok := IsFormatError(rows().Print(s, f, someRows())); !ok {
			t.Errorf("%q: no format error", c)
		}
	}
}

// Where not all columns can be read, the minor ones give way, not the names.
func TestMinorColumns(t *testing.T) {
	l := rows()
	l.Columns[1].Minor = true
	for width, want := range map[int]string{40: "NAME       STATE     SIZE  SEEN\n", 34: "NAME        SIZE  SEEN\n"} {
		s, b := Fake(true, width)
		s.Configure(Rules{NoColor: true})
		if err := l.Print(s, Format{}, someRows()[:1]); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(b.Out.String(), "\n"); got+"\n" != want {
			t.Errorf("at %d columns: %q, want %q", width, got, want)
		}
	}
}

// What says why is never cut: it goes on below, whatever the width.
func TestWrappedCells(t *testing.T) {
	l := Listing[row]{Columns: []Column[row]{
		{Header: "VM", Value: func(r row) string { return r.Name }},
		{Header: "WHY", Wraps: true, Value: func(r row) string { return r.State }},
		{Header: "FIX", Wraps: true, Value: func(r row) string { return r.Source }},
	}}
	s, b := Fake(true, 44)
	s.Configure(Rules{NoColor: true})
	items := []row{{Name: "chad", State: "no key is recorded", Source: "vers-fleet keys sync"}, {Name: "marketing", State: "日本語日本語日本語日本語日本語", Source: "-"}}
	if err := l.Print(s, Format{}, items); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"VM         WHY               FIX\n" +
		"chad       no key is         vers-fleet keys\n" +
		"           recorded          sync\n" +
		"marketing  日本語日本語日本  -\n" +
		"           語日本語日本語\n"
	if got := b.Out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range strings.Split(b.Out.String(), "\n") {
		if Width(line) > 44 {
			t.Errorf("%d columns: %q", Width(line), line)
		}
	}
}

// A number is shown whole on the narrowest terminal: what else there is gives way.
func TestNumbersAreNotCut(t *testing.T) {
	l := Listing[int64]{Columns: []Column[int64]{
		{Header: "VM", Value: func(int64) string { return "investigator" }},
		{Header: "SIZE", Right: true, Value: Bytes},
		{Header: "SKIPPED", Right: true, Minor: true, Value: func(int64) string { return "12345678901" }},
		{Header: "INTO", Value: func(int64) string { return "rescued/investigator" }},
	}}
	for _, width := range []int{80, 60, 40, 34} {
		s, b := Fake(true, width)
		if err := l.Print(s, Format{}, []int64{125235}); err != nil {
			t.Fatal(err)
		}
		out := b.Out.String()
		if !strings.Contains(out, " 122.3 KiB ") || strings.Contains(out, "SKIPPED") && !strings.Contains(out, "12345678901") {
			t.Errorf("in %d columns:\n%s", width, out)
		}
	}
}
