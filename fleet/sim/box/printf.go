package box

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// rewritePrintf does the work of %.3s and %.2f, which the interpreter's printf
// does not know: it cuts the arguments and leaves %s to be done.
func rewritePrintf(args []string) []string {
	if len(args) < 2 {
		return args
	}
	verbs := regexp.MustCompile(`%[-+ #0]*[0-9]*(\.[0-9]*)?([a-zA-Z%])`)
	exact := regexp.MustCompile(`\.([0-9]*)[sf]$`)
	var cuts []string // of each verb that takes an argument: its precision and letter, or ""
	found := false
	format := verbs.ReplaceAllStringFunc(args[1], func(verb string) string {
		at := exact.FindStringIndex(verb)
		switch {
		case at != nil:
			found = true
			cuts = append(cuts, verb[at[0]:])
			return verb[:at[0]] + "s"
		case verb[len(verb)-1] != '%':
			cuts = append(cuts, "")
		}
		return verb
	})
	if !found {
		return args
	}
	args = slices.Clone(args)
	args[1] = format
	for i := range args[2:] {
		args[2+i] = cutTo(cuts[i%len(cuts)], args[2+i])
	}
	return args
}

// cutTo writes an argument as "%" + cut would; "" leaves it as it is.
func cutTo(cut, arg string) string {
	switch {
	case cut == "":
		return arg
	case cut[len(cut)-1] == 's':
		n, _ := strconv.Atoi(cut[1 : len(cut)-1])
		return arg[:min(n, len(arg))]
	}
	v, _ := strconv.ParseFloat(arg, 64)
	return fmt.Sprintf("%"+cut, v)
}
