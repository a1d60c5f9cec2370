package lieutenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Lieutenant is one entry of lieutenants.json.
type Lieutenant struct {
	Name           string
	Role           string
	VMID           string // canonical UUID; "" if Local
	Local          bool   // runs on the operator's machine, not on a VM
	Status         string
	LastActivityAt time.Time // zero if unknown
}

// LocalPrefix stands before the name in the vmId of a local lieutenant (docs/platform.md).
const LocalPrefix = "local-"

// Alias is one entry of aliases.json.
type Alias struct {
	Name string
	VMID string // canonical UUID
}

// errNotList is the error of a file that is no list of names at all.
var errNotList = errors.New("not a list of entries")

// Files lists where lieutenants.json may be, in the order in which the first that exists counts. versHome is the
// value of VERS_HOME, agentDir that of PI_CODING_AGENT_DIR, home the user's home directory; each may be empty.
func Files(home, versHome, agentDir string) []string {
	const name = "lieutenants.json"
	var files []string
	if versHome != "" {
		files = append(files, filepath.Join(versHome, name))
	}
	if agentDir != "" {
		files = append(files, filepath.Join(agentDir, "..", "vers", name))
	}
	if home != "" {
		for _, dir := range []string{filepath.Join(".pi", "vers"), ".pi", ".vers"} {
			files = append(files, filepath.Join(home, dir, name))
		}
	}
	return files
}

// AliasesFile is where the Vers CLI keeps aliases; "" without a home directory.
func AliasesFile(home string) string {
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".vers", "aliases.json")
}

// maxName is the longest name accepted, in characters. Names are typed and stand in columns.
const maxName = 100

// CheckName trims the spaces around a name and refuses what could be taken for something else: an option, a path, an id of
// a VM, "VM:PATH", or text that a terminal would not show as it is. The error is fit to be shown.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	reason := ""
	switch {
	case name == "":
		reason = "is empty"
	case !utf8.ValidString(name):
		reason = "is not valid UTF-8"
	case utf8.RuneCountInString(name) > maxName:
		reason = "is too long"
	case strings.ContainsFunc(name, func(r rune) bool { return safe.Hidden(r) || !unicode.IsPrint(r) }):
		reason = "contains characters that do not show"
	case strings.ContainsAny(name, `/\:`):
		reason = "contains / \\ or :"
	case name[0] == '-' || name[0] == '.':
		reason = "begins with - or ."
	default:
		if _, isID := vmID(name); isID {
			reason = "is a VM id"
		}
	}
	if reason != "" {
		return "", fmt.Errorf("name %q %s", short(safe.Clean(name)), reason)
	}
	return name, nil
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}

// vmID returns the canonical form of a UUID.
func vmID(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) != 36 {
		return s, false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return s, false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return s, false
			}
		}
	}
	return s, true
}

// object is an entry whose fields may have any type, or be missing.
type object map[string]json.RawMessage

// ParseLieutenants reads lieutenants.json: {"lieutenants":[...]} or a bare array. Unknown fields and fields of the
// wrong type are passed over, entries without a usable name or VM left out. The error, errNotList, is for a file that
// is not such a list at all.
func ParseLieutenants(data []byte) ([]Lieutenant, error) {
	entries, err := listIn(data, "lieutenants")
	if err != nil {
		return nil, err
	}
	var out []Lieutenant
	for _, raw := range entries {
		var o object
		if json.Unmarshal(raw, &o) != nil {
			continue
		}
		name, err := CheckName(o.text("name"))
		id, valid := vmID(o.text("vmId"))
		local := o.bool("isLocal") || strings.HasPrefix(id, LocalPrefix)
		if err != nil || !local && !valid {
			continue
		}
		if local {
			id = ""
		}
		out = append(out, Lieutenant{Name: name, Role: label(o.text("role")), VMID: id, Local: local,
			Status: label(o.text("status")), LastActivityAt: parseTime(o["lastActivityAt"])})
	}
	return out, nil
}

// ParseAliases reads aliases.json, {"alias":"vm id"}, and returns the usable aliases in order of their names.
func ParseAliases(data []byte) ([]Alias, error) {
	var o object
	if err := json.Unmarshal(trimBOM(data), &o); err != nil || o == nil {
		return nil, notList(err)
	}
	var list []Alias
	for _, key := range slices.Sorted(maps.Keys(o)) {
		name, err := CheckName(key)
		if id, valid := vmID(o.text(key)); err == nil && valid {
			list = append(list, Alias{name, id})
		}
	}
	return list, nil
}

// listIn finds the list in data: bare, or under key.
func listIn(data []byte, key string) ([]json.RawMessage, error) {
	data = trimBOM(data)
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err == nil && list != nil {
		return list, nil
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, notList(err)
	}
	if err := json.Unmarshal(o[key], &list); err != nil || list == nil {
		return nil, notList(err)
	}
	return list, nil
}

func notList(err error) error {
	if err == nil {
		return errNotList
	}
	return fmt.Errorf("%w: %w", errNotList, err)
}

func trimBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

func (o object) text(key string) string {
	var s string
	if json.Unmarshal(o[key], &s) != nil {
		return ""
	}
	return s
}

func (o object) bool(key string) bool {
	var b bool
	return json.Unmarshal(o[key], &b) == nil && b
}

func (o object) number(key string) float64 {
	var n float64
	if json.Unmarshal(o[key], &n) != nil {
		return 0
	}
	return n
}

// parseTime reads RFC 3339, or milliseconds since 1970 as JavaScript counts them.
func parseTime(raw json.RawMessage) time.Time {
	if len(raw) == 0 {
		return time.Time{}
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return time.Time{}
		}
		return t.UTC()
	}
	var ms float64
	if json.Unmarshal(raw, &ms) != nil || ms <= 0 || ms > 253402300799999 { // the year 9999
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// label makes a short text field fit for a column.
func label(s string) string { return short(strings.Join(strings.Fields(safe.Text(s)), " ")) }

// maxLineText is the longest text of an agent that is shown in one line, in characters.
const maxLineText = 300

// oneLine makes a text of an agent fit for one line.
func oneLine(s string) string {
	s = safe.OneLine(clip(s, 8*maxLineText))
	if r := []rune(s); len(r) > maxLineText {
		return string(r[:maxLineText-1]) + "…"
	}
	return s
}

// clip is the beginning of s, at most so many bytes, in whole characters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
