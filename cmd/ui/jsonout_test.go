package ui

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"
	"time"
)

// FuzzWholeSeconds holds the scanner against the rule, as a regular expression
// says it, on whatever is JSON.
func FuzzWholeSeconds(f *testing.F) {
	rule := regexp.MustCompile(`("(?:[a-z_]*_)?(?:at|as_of)": ?"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+(Z"|[+-]\d\d:\d\d")`)
	for _, seed := range []string{
		`{"as_of":"2026-02-24T03:20:00.5Z","vms":[{"created_at": "2026-02-24T03:20:00.123456789+01:00","x_at":"2026-02-24T03:20:00Z"}]}`,
		`{"_at":"2026-02-24T03:20:00.5Z","x2_at":"2026-02-24T03:20:00.5Z","at":"2026-02-24T03:20:00.5Z"}`,
		`{"a":"\"as_of\": \"2026-02-24T03:20:00.5Z\"","text":"it_at\":","x_at":"2026-02-24T03:20:00.Z"}`,
		`{"x_at":"2026-02-24 03:20:00.5Z","y_at":"2026-02-24T03:20:00.5","z_at":"2026-02-24T03:20:00.5+01:0\"","x_at":{"as_of":"2026-02-24T03:20:00.99-00:30"}}`,
		`{"at":"2026-02-24T03:20:00.5Z","phase_as_of": "2026-02-24T03:20:00.5Z","flat":"2026-02-24T03:20:00.5Z","as_of_":"2026-02-24T03:20:00.5Z","_at":"2026-02-24T03:20:00.5Z"}`,
		`"as_of"`, `[]`, `{"x_at":  "2026-02-24T03:20:00.5Z"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		want := rule.ReplaceAll(data, []byte("$1$2"))
		if got := wholeSeconds(bytes.Clone(data)); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", data, got, want)
		}
	})
}

// A listing of any length is the array that encoding/json makes of it.
func TestArrayIsWrittenAsOne(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3000} {
		items := make([]row, n)
		for i := range items {
			items[i] = row{Name: "<b>", Size: i, AsOf: noon.Add(time.Duration(i) * time.Minute)}
		}
		var want bytes.Buffer
		s, got := Fake(false, 0)
		if err := printArray(s, items); err != nil {
			t.Fatal(err)
		}
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(items); err != nil {
			t.Fatal(err)
		}
		if got.Out.String() != want.String() {
			t.Errorf("%d rows: %d bytes, want %d", n, got.Out.Len(), want.Len())
		}
	}
}
