package mcpserver

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
)

// sizes checks that neither part of an answer is too long.
func sizes(t *testing.T, r result) {
	t.Helper()
	var parts struct {
		Structured json.RawMessage `json:"structuredContent"`
	}
	if err := json.Unmarshal(r.raw, &parts); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Content {
		if len(c.Text) > maxPart {
			t.Errorf("a text of %d bytes", len(c.Text))
		}
	}
	if len(parts.Structured) > maxPart {
		t.Errorf("a structured part of %d bytes", len(parts.Structured))
	}
}

// A long text comes in pages that join without a gap, and whole in a file.
func TestPagesOfText(t *testing.T) {
	t.Parallel()
	w, p := world(t)
	file := filepath.Join(w.Sim.VM("marketing").Root(), "root", "workspace", "long.txt")
	for name, text := range map[string]string{
		"lines":    strings.Repeat("a line of a log with \"quotes\" & <marks>\n", 3000),
		"one line": strings.Repeat("漢字✓", 20000),
		"controls": strings.Repeat("\t\\\n", 30000),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		whole := ""
		for offset := 0.0; ; {
			r := p.call("vm_read_file", map[string]any{"vm": "marketing", "path": "/root/workspace/long.txt", "offset": offset})
			sizes(t, r)
			got.WriteString(r.Structured["text"].(string))
			if f, ok := r.Structured["file"].(string); ok {
				whole = f
			}
			if r.Structured["truncated"] != true {
				break
			}
			next := r.Structured["next_offset"].(float64)
			if next <= offset {
				t.Fatalf("%s: %v after %v", name, next, offset)
			}
			offset = next
		}
		if got.String() != text {
			t.Errorf("%s: the pages make %d bytes of %d", name, got.Len(), len(text))
		}
		if b, err := os.ReadFile(whole); err != nil || string(b) != text {
			t.Errorf("%s: the file has %d bytes, %v", name, len(b), err)
		}
	}
	if r := p.call("vm_read_file", map[string]any{"vm": "marketing", "path": "/root/workspace/long.txt", "offset": 1 << 40}); r.IsError || r.Structured["text"] != "" {
		t.Error(r.Structured)
	}
}

// A long list comes in pages too; a secret across the end of a page is none.
func TestPagesOfLists(t *testing.T) {
	t.Parallel()
	w, p := world(t)
	dir := filepath.Join(w.Sim.VM("marketing").Root(), "root", "many")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file %04d %s", i, strings.Repeat("x", 60))), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for offset := 0.0; ; {
		r := p.call("vm_list_files", map[string]any{"vm": "marketing", "path": "/root/many", "offset": offset})
		sizes(t, r)
		for _, f := range r.Structured["files"].([]any) {
			seen[f.(map[string]any)["name"].(string)] = true
		}
		if r.Structured["truncated"] != true {
			break
		}
		offset = r.Structured["next_offset"].(float64)
	}
	if len(seen) != 500 {
		t.Errorf("%d of 500 files", len(seen))
	}
	text := strings.Repeat("x", 22000)
	for i := range 12 {
		body := text[:len(text)-i*60] + "\n" + canaryPEM + text
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, offset := range []int{0, len(text) - i*60 + 10, len(text) - i*60 + 60} {
			r := p.call("vm_read_file", map[string]any{"vm": "marketing", "path": "/root/many/key", "offset": offset})
			if l := leaks(string(r.raw)); l != "" {
				t.Fatalf("%s at %d: %s", l, offset, r.raw)
			}
		}
	}
}

// Fields that are not paged are cut where they are too long, and it is said.
func TestFitCutsWhateverIsLong(t *testing.T) {
	t.Parallel()
	s, err := New(testOptions(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, long := range []any{strings.Repeat("x", 100_000), make([]any, 100_000), map[string]any{"a": strings.Repeat("\x01", 50_000)}} {
		a := map[string]any{"other": long, "list": []any{long, long}}
		s.fit(spec{bulk: "list"}, a, 0)
		if n := size(a); n > maxPart || a["truncated"] != true {
			t.Errorf("%d bytes, truncated %v", n, a["truncated"])
		}
	}
}

func TestEscaped(t *testing.T) {
	t.Parallel()
	for r := range rune(0x3000) {
		if got, want := escaped(r), size(string(r))-2; got < want {
			t.Errorf("%q: %d bytes, JSON has %d", r, got, want)
		}
	}
}

// What is kept of long answers does not grow without end.
func TestKeptAnswersArePruned(t *testing.T) {
	t.Parallel()
	f := fleettest.New(t, 6).Open()
	o := testOptions(t, f)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for range mostWhole + 20 {
		s.keepWhole(spec{name: "x"}, map[string]any{}, "text")
	}
	if list, err := os.ReadDir(filepath.Join(o.Root, wholeFolder)); err != nil || len(list) != mostWhole {
		t.Errorf("%d files, %v", len(list), err)
	}
}
