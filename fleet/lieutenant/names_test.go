//go:build unix

package lieutenant

import (
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

const (
	idA = "c8f9cadc-4c58-4eab-a847-df31723c7d16"
	idB = "00000000-0000-4000-8000-00000000000b"
)

func TestFiles(t *testing.T) {
	home := filepath.FromSlash("/home/op")
	want := []string{"/vh/lieutenants.json", "/agent/vers/lieutenants.json", "/home/op/.pi/vers/lieutenants.json", "/home/op/.pi/lieutenants.json", "/home/op/.vers/lieutenants.json"}
	for i := range want {
		want[i] = filepath.FromSlash(want[i])
	}
	if got := Files(home, filepath.FromSlash("/vh"), filepath.FromSlash("/agent/dir")); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := Files(home, "", filepath.FromSlash("/agent/dir")); !slices.Equal(got, want[1:]) {
		t.Errorf("without VERS_HOME: %q", got)
	}
	if Files("", "", "") != nil || AliasesFile("") != "" || AliasesFile(home) != filepath.Join(home, ".vers", "aliases.json") {
		t.Error("without a home directory")
	}
}

func TestParseLieutenants(t *testing.T) {
	const file = "\xef\xbb\xbf" + `{"savedAt":"2026-02-24T03:00:00Z","new":{},"lieutenants":[
		{"name":"marketing","role":"lieutenant","vmId":"C8F9CADC-4C58-4EAB-A847-DF31723C7D16","isLocal":false,"status":"idle","taskCount":7,
		 "createdAt":"2026-02-20T10:00:00.5Z","lastActivityAt":1771902000000,"extra":[1,2]},
		{"name":"helper","vmId":"local-helper","isLocal":true},
		{"name":"helper2","vmId":"local-helper2"},
		{"name":" spaced name ","vmId":"` + idB + `","taskCount":"many","createdAt":"yesterday","status":7,"role":"a\u001b[31m\n b"},
		{"name":"no-vm"}, {"name":"../../x","vmId":"` + idB + `"}, {"vmId":"` + idB + `"}, 5, null, [], {"name":{},"vmId":[]},
		{"name":"` + idA + `","vmId":"` + idB + `"}]}`
	got, err := ParseLieutenants([]byte(file))
	want := []Lieutenant{
		{Name: "marketing", Role: "lieutenant", VMID: idA, Status: "idle", LastActivityAt: time.UnixMilli(1771902000000).UTC()},
		{Name: "helper", Local: true},
		{Name: "helper2", Local: true},
		{Name: "spaced name", VMID: idB, Role: `a\x1b[31m b`},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
}

func TestNotALieutenantsFile(t *testing.T) {
	for _, junk := range []string{"", "null", "5", `"x"`, "{}", `{"lieutenants":null}`, `{"lieutenants":{}}`, "<html>", `{"lieutenants":[`,
		strings.Repeat("[", 100000)} {
		if got, err := ParseLieutenants([]byte(junk)); !errors.Is(err, errNotList) {
			t.Errorf("%.30q: %v, %v", junk, got, err)
		}
		if got, err := ParseAliases([]byte(junk)); err == nil && len(got) > 0 {
			t.Errorf("aliases %.30q: %v", junk, got)
		}
	}
	if got, err := ParseLieutenants([]byte("[]")); err != nil || len(got) != 0 {
		t.Errorf("an empty list: %v, %v", got, err)
	}
}

func TestParseAliases(t *testing.T) {
	got, err := ParseAliases([]byte(`{"web":"` + idB + `","db":"` + strings.ToUpper(idA) + `","x":5,"-rf":"` + idA + `","short":"c8f9"}`))
	if want := []Alias{{"db", idA}, {"web", idB}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"chad-dev", "Ünïcode", "a.b_c@d", "with space", "(x)", strings.Repeat("x", maxName)} {
		if got, err := CheckName(" " + name + "\n"); err != nil || got != name {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", " ", "-rf", ".", "..", ".hidden", "a/b", `a\b`, "vm:/path", "a\nb", "a\x1b[2Jb", "a\x00", "a\u202eb", "a\u200bb",
		"\xff", strings.Repeat("x", maxName+1), idA, strings.ToUpper(idA), "a\u00a0b"} {
		got, err := CheckName(name)
		if err == nil || got != "" || safe.Clean(err.Error()) != err.Error() || len([]rune(err.Error())) > 100 {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"lieutenants":[{"name":"x","vmId":"`+idA+`"}]}`), []byte(delta("x")))
	f.Add([]byte(`{"lieutenants":[{"name":"x","vmId":"local-x","isLocal":true}]}`), []byte(delta(`\ud83d\ude80 \ud83d`)))
	f.Add([]byte(`{"x":"`+idA+`"}`), []byte(`{"type":"agent_end","messages":[{"stopReason":"error"}]}`))
	f.Add([]byte(`[]`), []byte(`{"type":"response","command":"get_state","success":true,"data":{"isStreaming":false}}`))
	f.Fuzz(func(t *testing.T, file, line []byte) {
		list, _ := ParseLieutenants(file)
		for _, l := range list {
			if _, valid := vmID(l.VMID); !valid && !l.Local {
				t.Errorf("id %q", l.VMID)
			}
		}
		_, _ = ParseAliases(file)
		_ = parseLine(line, line, true)
		if p := parseLine(line, nil, false); p.kind == KindText {
			whole, half := splitHigh(p.delta)
			if len(whole)+len(half) != len(p.delta) || unquote(p.delta) == "" && len(p.delta) > 0 {
				t.Errorf("delta %q of %q", p.delta, line)
			}
		}
	})
}
