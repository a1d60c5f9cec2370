package cmd

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/settings"
	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/commits"
	"github.com/vers-fleet/vers-fleet/fleet/daemon"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/keys"
	"github.com/vers-fleet/vers-fleet/fleet/lifecycle"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// docs/json.md names exactly the fields that the commands print: a field that
// is added, renamed or taken away must be so in the documentation too.
func TestJSONIsDocumented(t *testing.T) {
	doc := documentedFields(t)
	types := map[string]any{
		"vms": inventory.VM{}, "exec": execLine{}, "pull, push": remote.PullResult{}, "pull events": pullEvent{}, "diff": remote.DiffResult{}, "commits list, commits show": commits.Commit{},
		"output": remote.Answer{}, "output --status": remote.Activity{}, "output --stats": remote.Usage{}, "commit, queue run": commits.Result{},
		"branch": branched{}, "pause, resume": lifecycle.StateChange{}, "status": fleet.Status{}, "status --history": fleet.HistoryItem{},
		"drill, keys check --probe": fleet.DrillResult{}, "queue list": commits.QueueItem{}, "keys list": keys.Info{},
		"keys sync": keys.SyncReport{}, "keys check": keys.Finding{}, "keys import": keystore.PlanItem{},
		"keys import --found": keys.AdoptableKey{}, "alias list, alias set, alias remove": inventory.Alias{}, "version": Build{},
		"config view, config get": settings.Value{}, "config path, keys path": configPathValue{}, "wait": waitValue{}, "daemon events": daemon.Event{}, "daemon status": daemon.Status{}, "daemon logs": daemon.LogLine{}, "mcp install": installed{}, "send": sent{}, "sim status": sim.Status{},
	}
	for section, v := range types {
		want := jsonFields(reflect.TypeOf(v), "")
		got := doc[section]
		delete(doc, section)
		for _, f := range want {
			if !slices.Contains(got, f) {
				t.Errorf("docs/json.md, %s: %s is not documented", section, f)
			}
		}
		for _, f := range got {
			if !slices.Contains(want, f) {
				t.Errorf("docs/json.md, %s: there is no field %s", section, f)
			}
		}
	}
	for section := range doc {
		t.Errorf("docs/json.md: nothing is known of %s", section)
	}
}

// documentedFields reads the first column of each section's table; ° marks a
// field that may be left out.
func documentedFields(t *testing.T) map[string][]string {
	text, err := os.ReadFile("../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(string(text), "\n## Commands\n")
	field := regexp.MustCompile("`([^`]+)`(°?)")
	out := map[string][]string{}
	for _, section := range strings.Split(commands, "\n### ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		for line := range strings.Lines(body) {
			if column, ok := strings.CutPrefix(line, "| `"); ok {
				column, _, _ = strings.Cut("`"+column, "|")
				for _, m := range field.FindAllStringSubmatch(column, -1) {
					out[title] = append(out[title], m[1]+m[2])
				}
			}
		}
	}
	return out
}

// jsonFields lists the fields of a type's JSON form as the documentation
// writes them.
func jsonFields(typ reflect.Type, prefix string) []string {
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		inner := f.Type
		for inner.Kind() == reflect.Slice && inner.Elem().Kind() != reflect.Uint8 || inner.Kind() == reflect.Pointer { // bytes are a text in JSON
			if inner.Kind() == reflect.Slice {
				name += "[]"
			}
			inner = inner.Elem()
		}
		if f.Anonymous && name == "" {
			out = append(out, jsonFields(inner, prefix)...)
			continue
		}
		mark := ""
		if strings.Contains(options, "omit") {
			mark = "°"
		}
		out = append(out, prefix+name+mark)
		if inner.Kind() == reflect.Struct && !describedElsewhere(inner) {
			out = append(out, jsonFields(inner, prefix+name+".")...)
		}
	}
	return out
}

// describedElsewhere are structs whose fields stand in another section, or
// under the options of sim fault and in the API's own documentation.
func describedElsewhere(typ reflect.Type) bool {
	return slices.Contains([]reflect.Type{reflect.TypeFor[time.Time](), reflect.TypeFor[inventory.VM](), reflect.TypeFor[commits.QueueItem](),
		reflect.TypeFor[sim.Fault](), reflect.TypeFor[sim.Commit]()}, typ)
}
