package lieutenant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// object is an entry whose fields may have any type, or be missing.
type object map[string]json.RawMessage

// ParseLieutenants reads lieutenants.json: {"lieutenants":[...]} or a bare array. Unknown fields and fields of the
// wrong type are passed over; entries without a usable name or VM are left out and told to skipped, if given. The
// error, ErrNotList, is for a file that is not such a list at all.
func ParseLieutenants(data []byte, skipped ...func(Problem)) ([]Lieutenant, error) {
	list, err := entries(data, "lieutenants")
	if err != nil {
		return nil, err
	}
	return collect(list, skipped, func(o object) (Lieutenant, error) {
		l := Lieutenant{Role: label(o.text("role")), Status: label(o.text("status")), TaskCount: o.count("taskCount"),
			CreatedAt: o.time("createdAt"), LastActivityAt: o.time("lastActivityAt")}
		var err error
		if l.Name, err = CheckName(o.text("name")); err != nil {
			return l, err
		}
		id, valid := vmID(o.text("vmId"))
		l.Local = o.bool("isLocal") || strings.HasPrefix(id, LocalPrefix)
		switch {
		case l.Local:
			return l, nil
		case !valid:
			return l, fmt.Errorf("%s: %w", l.Name, ErrNoVM)
		}
		l.VMID = id
		return l, nil
	})
}

// ParseAliases reads aliases.json, {"alias":"vm id"}, and returns the aliases in order of their names.
func ParseAliases(data []byte, skipped ...func(Problem)) ([]Alias, error) {
	var o object
	if err := json.Unmarshal(trimBOM(data), &o); err != nil || o == nil {
		return nil, notList(err)
	}
	var list []Alias
	for i, key := range slices.Sorted(maps.Keys(o)) {
		name, err := CheckName(key)
		id, valid := vmID(o.text(key))
		if err == nil && !valid {
			err = fmt.Errorf("%s: %w", name, ErrNoVM)
		}
		if err != nil {
			tell(skipped, Problem{i, err})
			continue
		}
		list = append(list, Alias{name, id})
	}
	return list, nil
}

// ParseRegistry reads the registry's list of VMs: {"vms":[...]} or a bare array. An entry without a valid id is left
// out; one with a name that cannot be used only loses the name. Both are told to skipped.
func ParseRegistry(data []byte, skipped ...func(Problem)) ([]RegistryVM, error) {
	list, err := entries(data, "vms")
	if err != nil {
		return nil, err
	}
	n := -1
	return collect(list, skipped, func(o object) (RegistryVM, error) {
		n++
		v := RegistryVM{Role: label(o.text("role")), Status: label(o.text("status")), Address: label(o.text("address")), LastSeen: o.time("lastSeen")}
		id, valid := vmID(o.text("id"))
		if !valid {
			return v, ErrNoVM
		}
		v.VMID = id
		if name := o.text("name"); name != "" {
			var err error
			if v.Name, err = CheckName(name); err != nil {
				tell(skipped, Problem{n, err})
			}
		}
		return v, nil
	})
}

// entries finds the list in data: bare, or under key.
func entries(data []byte, key string) ([]json.RawMessage, error) {
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
		return ErrNotList
	}
	return fmt.Errorf("%w: %w", ErrNotList, err)
}

func trimBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

// collect reads the entries one by one and tells which were left out.
func collect[T any](list []json.RawMessage, skipped []func(Problem), read func(object) (T, error)) ([]T, error) {
	var out []T
	for i, raw := range list {
		var o object
		if json.Unmarshal(raw, &o) != nil {
			o = nil
		}
		entry, err := read(o)
		if o == nil {
			err = ErrNotEntry
		}
		if err != nil {
			tell(skipped, Problem{i, err})
			continue
		}
		out = append(out, entry)
	}
	return out, nil
}

func tell(skipped []func(Problem), p Problem) {
	for _, f := range skipped {
		f(p)
	}
}

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

func (o object) count(key string) int {
	var f float64
	if json.Unmarshal(o[key], &f) != nil || f < 0 || f > math.MaxInt32 {
		return 0
	}
	return int(f)
}

func (o object) time(key string) time.Time { return parseTime(o[key]) }

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
func label(s string) string { return short(strings.Join(strings.Fields(Sanitize(s)), " ")) }
