package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// setJSON sets a value in the text of a JSON file that may have comments and
// trailing commas. Objects on the way are made. Everything else stays as it is.
func setJSON(text string, path []string, value any) (string, error) {
	if strings.TrimSpace(bare(text)) == "" {
		text += "{}\n"
	}
	var before any
	if err := json.Unmarshal([]byte(bare(text)), &before); err != nil {
		return "", fmt.Errorf("it is no JSON: %w", err)
	}
	out, err := spliced(text, path, value)
	if err != nil {
		return "", err
	}
	var after, want any
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, &want)
	}
	if err == nil {
		err = json.Unmarshal([]byte(bare(out)), &after)
	}
	if err != nil || !put(before, path, want) || !reflect.DeepEqual(before, after) {
		return "", errors.Join(errors.New("it is written in a form that only a person can change"), err)
	}
	return out, nil
}

// put sets a value in decoded JSON.
func put(v any, path []string, value any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	if len(path) == 1 {
		m[path[0]] = value
		return true
	}
	if m[path[0]] == nil {
		m[path[0]] = map[string]any{}
	}
	return put(m[path[0]], path[1:], value)
}

// bare is the text with comments and trailing commas as spaces, so that it is JSON
// and every byte stands where it stood.
func bare(text string) string {
	b := []byte(text)
	comma := -1 // the last one, if only space followed
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if b[i] != '\n' {
				b[i] = ' '
			}
		}
	}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case i == 0 && strings.HasPrefix(text, "\ufeff"):
			blank(0, 3)
			i = 2
		case c == '"':
			i, comma = endOfString(b, i), -1
		case c == '/' && i+1 < len(b) && b[i+1] == '/':
			end := i + len(before(b[i:], "\n"))
			blank(i, end)
			i = end - 1
		case c == '/' && i+1 < len(b) && b[i+1] == '*':
			end := min(len(b), i+2+len(before(b[i+2:], "*/"))+2)
			blank(i, end)
			i = end - 1
		case c == ',':
			comma = i
		case (c == '}' || c == ']') && comma >= 0:
			b[comma], comma = ' ', -1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			comma = -1
		}
	}
	return string(b)
}

// before is what stands before a mark, or all.
func before(b []byte, mark string) []byte {
	head, _, _ := bytes.Cut(b, []byte(mark))
	return head
}

// endOfString is where the string that begins at i ends.
func endOfString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return min(i, len(b))
}

// spliced is the text with the value set: in place of an old one, or as the last
// member of the innermost object that is there.
func spliced(text string, path []string, value any) (string, error) {
	j := bare(text)
	at := strings.IndexByte(j, '{')
	if at < 0 {
		return "", errors.New("it is no JSON object")
	}
	for depth, name := range path {
		m, err := members(j, at)
		if err != nil {
			return "", err
		}
		found, ok := m.of[name]
		rest := path[depth+1:]
		switch {
		case ok && len(rest) == 0:
			return text[:found[0]] + rendered(value, depth+1) + text[found[1]:], nil
		case ok && j[found[0]] != '{':
			return "", fmt.Errorf("%s is no object", name)
		case ok:
			at = found[0]
			continue
		}
		for i := len(rest) - 1; i >= 0; i-- {
			value = map[string]any{rest[i]: value}
		}
		key, err := json.Marshal(name)
		if err != nil {
			return "", err
		}
		indent := strings.Repeat("  ", depth+1)
		member := "\n" + indent + string(key) + ": " + rendered(value, depth+1)
		if m.last < 0 {
			return text[:at+1] + member + "\n" + indent[2:] + strings.TrimLeft(text[at+1:], " \t\r\n"), nil
		}
		comma := ","
		if rest := strings.TrimLeft(text[m.last:m.end], " \t\r\n"); strings.HasPrefix(rest, ",") {
			m.last, comma = m.end-len(rest)+1, "" // a trailing comma serves
		}
		return text[:m.last] + comma + member + text[m.last:], nil
	}
	return "", errors.New("no path")
}

// rendered is a value as lines of a file.
func rendered(value any, depth int) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(strings.Repeat("  ", depth), "  ")
	if err := enc.Encode(value); err != nil {
		return "null" // then what comes out is not what was wanted, and is refused
	}
	return strings.TrimRight(b.String(), "\n")
}

// object is where the members of an object stand in a text.
type object struct {
	of   map[string][2]int // the values, from and to
	last int               // behind the last value; -1: there is none
	end  int               // of its closing brace
}

// members finds the members of the object that begins at from in JSON.
func members(j string, from int) (object, error) {
	o := object{of: map[string][2]int{}, last: -1}
	dec := json.NewDecoder(strings.NewReader(j[from:]))
	if _, err := dec.Token(); err != nil {
		return o, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return o, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return o, err
		}
		o.last = from + int(dec.InputOffset())
		name, _ := key.(string) // a key of an object always is
		o.of[name] = [2]int{o.last - len(raw), o.last}
	}
	o.end = from + int(dec.InputOffset())
	if i := strings.IndexByte(j[o.end:], '}'); i >= 0 {
		o.end += i
	}
	return o, nil
}
