package box

import (
	"fmt"
	"strconv"
	"strings"
)

// flags is what a command line said, by the letter.
type flags struct {
	count  map[string]int
	values map[string][]string
}

func (f flags) on(name string) bool { return f.count[name] > 0 }

func (f flags) all(name string) []string { return f.values[name] }

// get returns the last value of an option.
func (f flags) get(name string) (string, bool) {
	v := f.values[name]
	if len(v) == 0 {
		return "", false
	}
	return v[len(v)-1], true
}

// parse reads options the way GNU getopt does. spec is like getopt's: letters,
// each followed by ":" if it takes a value. On an unknown option, which every
// long one is, it has reported the usage error.
func (c *cmd) parse(spec string) (f flags, rest []string, ok bool) {
	f = flags{count: make(map[string]int), values: make(map[string][]string)}
	for args := c.args; len(args) > 0; {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return f, append(rest, args...), true
		case len(arg) > 1 && arg[0] == '-':
			var err error
			if args, err = f.short(arg[1:], args, spec); err != nil {
				c.failf("%v", err)
				return f, nil, false
			}
		default:
			rest = append(rest, arg)
		}
	}
	return f, rest, true
}

func (f flags) short(letters string, args []string, spec string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		letter := letters[i : i+1]
		at := strings.Index(spec, letter)
		if letter == ":" || at < 0 {
			return nil, fmt.Errorf("option -%s: not available in the simulator", letters[i:])
		}
		f.count[letter]++
		if !strings.HasPrefix(spec[at+1:], ":") {
			continue
		}
		value := letters[i+1:]
		if value == "" && len(args) == 0 {
			return nil, fmt.Errorf("option requires an argument -- '%s'", letter)
		}
		if value == "" {
			value, args = args[0], args[1:]
		}
		f.values[letter] = append(f.values[letter], value)
		return args, nil
	}
	return args, nil
}

// number reads a plain number.
func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid number '%s'", text)
	}
	return n, nil
}
