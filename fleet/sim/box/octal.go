package box

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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
