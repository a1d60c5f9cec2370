package box

import (
	"fmt"
	"strconv"
	"strings"
)

// flags is what a command line said, by the short letter or, for options
// without one, the long name.
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

// parse reads options the way GNU getopt does. short is like getopt's: letters,
// each followed by ":" if it takes a value. long lists names as "all=a" (alias
// of -a), "size:=s" (alias of -s with a value), "name" or "name:". On an
// unknown option it has reported the usage error.
func (c *cmd) parse(short string, long ...string) (f flags, rest []string, ok bool) {
	f = flags{count: make(map[string]int), values: make(map[string][]string)}
	args := c.args
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			return f, append(rest, args...), true
		case strings.HasPrefix(arg, "--"):
			args, err = f.long(arg[2:], args, long)
		case len(arg) > 1 && arg[0] == '-':
			args, err = f.short(arg[1:], args, short)
		default:
			rest = append(rest, arg)
		}
		if err != nil {
			c.failf("%v", err)
			return f, nil, false
		}
	}
	return f, rest, true
}

func (f flags) set(name, value string, hasValue bool) {
	f.count[name]++
	if hasValue {
		f.values[name] = append(f.values[name], value)
	}
}

func (f flags) short(letters string, args []string, spec string) ([]string, error) {
	for i := 0; i < len(letters); i++ {
		letter := letters[i : i+1]
		at := strings.Index(spec, letter)
		if letter == ":" || at < 0 {
			return nil, fmt.Errorf("option -%s: not available in the simulator", letter)
		}
		if !strings.HasPrefix(spec[at+1:], ":") {
			f.set(letter, "", false)
			continue
		}
		if value := letters[i+1:]; value != "" {
			f.set(letter, value, true)
			return args, nil
		}
		if len(args) == 0 {
			return nil, fmt.Errorf("option requires an argument -- '%s'", letter)
		}
		f.set(letter, args[0], true)
		return args[1:], nil
	}
	return args, nil
}

func (f flags) long(option string, args []string, spec []string) ([]string, error) {
	name, value, hasValue := strings.Cut(option, "=")
	for _, entry := range spec {
		long, alias, _ := strings.Cut(entry, "=")
		wants := strings.HasSuffix(long, ":")
		long = strings.TrimSuffix(long, ":")
		if long != name {
			continue
		}
		if alias == "" {
			alias = long
		}
		if !wants {
			if hasValue {
				return nil, fmt.Errorf("option '--%s' doesn't allow an argument", name)
			}
			f.set(alias, "", false)
			return args, nil
		}
		if !hasValue {
			if len(args) == 0 {
				return nil, fmt.Errorf("option '--%s' requires an argument", name)
			}
			value, args = args[0], args[1:]
		}
		f.set(alias, value, true)
		return args, nil
	}
	return nil, fmt.Errorf("option --%s: not available in the simulator", name)
}

// number reads sizes such as 12, 4k, 1M or 2GiB.
func number(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTkmgtiBbcw")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid number %q", text)
	}
	factor, found := map[string]int64{
		"": 1, "c": 1, "w": 2, "b": 512, "B": 1,
		"k": 1 << 10, "K": 1 << 10, "KiB": 1 << 10, "kB": 1e3, "KB": 1e3,
		"m": 1 << 20, "M": 1 << 20, "MiB": 1 << 20, "MB": 1e6,
		"g": 1 << 30, "G": 1 << 30, "GiB": 1 << 30, "GB": 1e9,
		"t": 1 << 40, "T": 1 << 40, "TiB": 1 << 40, "TB": 1e12,
	}[text[len(digits):]]
	if !found || n > (1<<62)/factor || n < -(1<<62)/factor {
		return 0, fmt.Errorf("invalid number %q", text)
	}
	return n * factor, nil
}
