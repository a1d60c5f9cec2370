package box

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rewritePrintf does the work of %.3s, which the interpreter's printf does not
// know: it cuts the arguments and leaves %s to be done.
func rewritePrintf(args []string) []string {
	if len(args) < 2 || !strings.Contains(args[1], "%.") {
		return args
	}
	verbs := regexp.MustCompile(`%[-+ #0]*[0-9]*(\.[0-9]+)?([a-zA-Z%])`)
	var cuts []int // of each verb that takes an argument, -1 for none
	format := verbs.ReplaceAllStringFunc(args[1], func(verb string) string {
		flags, digits, found := strings.Cut(strings.TrimSuffix(verb, "s"), ".")
		switch n, err := strconv.Atoi(digits); {
		case found && err == nil && verb[len(verb)-1] == 's':
			cuts = append(cuts, n)
			return flags + "s"
		case verb[len(verb)-1] != '%':
			cuts = append(cuts, -1)
		}
		return verb
	})
	args = slices.Clone(args)
	args[1] = format
	for i, arg := range args[2:] {
		if n := cuts[i%max(len(cuts), 1)]; n >= 0 {
			args[2+i] = arg[:min(n, len(arg))]
		}
	}
	return args
}

// posixOctal writes the escapes \0ddd of %b (POSIX, printf) as \ddd, which is
// what the interpreter's printf takes them for.
func posixOctal(args []string) []string {
	if len(args) < 3 || !strings.Contains(args[1], "%b") {
		return args
	}
	escape := regexp.MustCompile(`\\\\|\\0[0-7]{1,3}`)
	args = slices.Clone(args)
	for i := range args[2:] {
		args[2+i] = escape.ReplaceAllStringFunc(args[2+i], func(e string) string {
			v, err := strconv.ParseUint(e[1:], 8, 16)
			if err != nil { // an escaped backslash
				return e
			}
			return fmt.Sprintf(`\%03o`, v&0xff)
		})
	}
	return args
}
