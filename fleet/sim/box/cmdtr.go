package box

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

func cmdTr(c *cmd) int {
	f, sets, ok := c.parse("dsc", "delete=d", "squeeze-repeats=s", "complement=c")
	if !ok {
		return 1
	}
	if len(sets) == 0 || len(sets) > 2 {
		return c.failf("missing operand")
	}
	from, err := trSet(sets[0])
	var to []byte
	if err == nil && len(sets) == 2 {
		to, err = trSet(sets[1])
	}
	if err != nil {
		return c.failf("%v", err)
	}
	if f.on("c") {
		from = complement(from)
	}
	var table [256]int // what a byte becomes; -1 means nothing
	for i := range table {
		table[i] = i
	}
	for i, b := range from {
		switch {
		case f.on("d"):
			table[b] = -1
		case len(to) > 0:
			table[b] = int(to[min(i, len(to)-1)])
		}
	}
	squeeze := to
	if len(to) == 0 {
		squeeze = from
	}
	return c.translate(table, f.on("s"), squeeze)
}

func (c *cmd) translate(table [256]int, squeeze bool, set []byte) int {
	in, out := bufio.NewReaderSize(c.in, 64<<10), bufio.NewWriterSize(c.out, 64<<10)
	last := -1
	for {
		b, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return c.flush(out)
		}
		if err != nil {
			return 1
		}
		to := table[b]
		if to < 0 || squeeze && to == last && strings.IndexByte(string(set), byte(to)) >= 0 {
			continue
		}
		last = to
		if out.WriteByte(byte(to)) != nil {
			return 141
		}
		if in.Buffered() == 0 && out.Flush() != nil {
			return 141
		}
	}
}

func complement(set []byte) []byte {
	var rest []byte
	for i := range 256 {
		if strings.IndexByte(string(set), byte(i)) < 0 {
			rest = append(rest, byte(i))
		}
	}
	return rest
}

// trSet expands ranges, escapes and the usual classes.
func trSet(text string) ([]byte, error) {
	classes := map[string]string{"[:lower:]": "a-z", "[:upper:]": "A-Z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z",
		"[:alnum:]": "0-9A-Za-z", "[:space:]": "\t\n\v\f\r ", "[:blank:]": "\t ", "[:cntrl:]": "\x00-\x1f\x7f"}
	for class, set := range classes {
		text = strings.ReplaceAll(text, class, set)
	}
	if strings.Contains(text, "[:") || strings.Contains(text, "[=") {
		return nil, fmt.Errorf("set %q: not available in the simulator", text)
	}
	raw := unescape(text)
	var set []byte
	for i := 0; i < len(raw); i++ {
		if i+2 < len(raw) && raw[i+1] == '-' && raw[i] <= raw[i+2] {
			for b := int(raw[i]); b <= int(raw[i+2]); b++ {
				set = append(set, byte(b))
			}
			i += 2
			continue
		}
		set = append(set, raw[i])
	}
	return set, nil
}

func cmdXargs(c *cmd) int {
	// Options end at the first operand: the rest is the command's.
	own, command := splitOptions(c.args, "nILPsd")
	c.args = own
	f, _, ok := c.parse("0rn:I:P:td:", "null=0", "no-run-if-empty=r", "max-args:=n", "max-procs:=P", "delimiter:=d")
	if !ok {
		return 1
	}
	if len(command) == 0 {
		command = []string{"echo"}
	}
	data, err := io.ReadAll(io.LimitReader(c.in, maxCapture))
	if err != nil {
		return 1
	}
	items, err := xargsItems(f, string(data))
	if err != nil {
		return c.failf("%v", err)
	}
	if len(items) == 0 && f.on("r") {
		return 0
	}
	size := 5000
	if text, given := f.get("n"); given {
		if size, err = strconv.Atoi(text); err != nil || size < 1 {
			return c.failf("invalid number %q", text)
		}
	}
	c.in = noInput{}
	status := 0
	run := func(args []string) {
		if st := c.child(args); st != 0 {
			status = 123
		}
	}
	if mark, given := f.get("I"); given {
		for _, item := range items {
			args := make([]string, len(command))
			for i, arg := range command {
				args[i] = strings.ReplaceAll(arg, mark, item)
			}
			run(args)
		}
		return status
	}
	for first := true; first || len(items) > 0; first = false {
		n := min(size, len(items))
		run(append(append([]string{}, command...), items[:n]...))
		items = items[n:]
	}
	return status
}

// splitOptions separates a command's own options from the command that it is
// to run. valued are the short options that take a value.
func splitOptions(args []string, valued string) (own, rest []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return args[:i], args[i+1:]
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			return args[:i], args[i:]
		}
		if len(arg) == 2 && strings.Contains(valued, arg[1:]) {
			i++
		}
	}
	return args, nil
}

func xargsItems(f flags, data string) ([]string, error) {
	if delim, given := f.get("d"); given || f.on("0") {
		if !given {
			delim = "\x00"
		}
		delim = unescape(delim)
		if data == "" || delim == "" {
			return nil, nil
		}
		return strings.Split(strings.TrimSuffix(data, delim), delim), nil
	}
	if f.on("I") {
		return strings.FieldsFunc(data, func(r rune) bool { return r == '\n' }), nil
	}
	var items []string
	var item strings.Builder
	inItem, quote := false, rune(0)
	for _, r := range data {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inItem = r, true
		case quote == 0 && (r == ' ' || r == '\n' || r == '\t'):
			if inItem {
				items = append(items, item.String())
				item.Reset()
			}
			inItem = false
		default:
			item.WriteRune(r)
			inItem = true
		}
	}
	if quote != 0 {
		return nil, errors.New("unmatched quote; use -0")
	}
	if inItem {
		items = append(items, item.String())
	}
	return items, nil
}

func cmdOd(c *cmd) int {
	f, names, ok := c.parse("A:t:N:vcxj:", "address-radix:=A", "format:=t", "read-bytes:=N")
	if !ok {
		return 1
	}
	radix, _ := f.get("A")
	format, _ := f.get("t")
	if f.on("j") || f.on("c") || f.on("x") || radix != "n" && radix != "" && radix != "x" && radix != "o" && radix != "d" ||
		format != "x1" && format != "u1" && format != "o1" {
		return c.failf("only -t x1, u1 and o1: available in the simulator")
	}
	verb := map[string]string{"x1": " %02x", "u1": " %3d", "o1": " %03o"}[format]
	limit := int64(maxCapture)
	if text, given := f.get("N"); given {
		n, err := number(text)
		if err != nil {
			return c.failf("%v", err)
		}
		limit = n
	}
	return c.eachInput(names, func(_ string, r io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(r, limit))
		if err != nil {
			return err
		}
		out := bufio.NewWriter(c.out)
		address := map[string]string{"": "%07o", "o": "%07o", "x": "%06x", "d": "%07d"}[radix]
		for at := 0; at < len(data); at += 16 {
			if address != "" {
				fmt.Fprintf(out, address, at)
			}
			for _, b := range data[at:min(at+16, len(data))] {
				fmt.Fprintf(out, verb, b)
			}
			out.WriteByte('\n')
		}
		if address != "" {
			fmt.Fprintf(out, address+"\n", len(data))
		}
		return out.Flush()
	})
}

func cmdSeq(c *cmd) int {
	f, rest, ok := c.seqArgs()
	if !ok {
		return 1
	}
	nums := make([]int64, 0, 3)
	for _, text := range rest {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return c.failf("invalid argument: '%s' (whole numbers only in the simulator)", text)
		}
		nums = append(nums, n)
	}
	first, step, last := int64(1), int64(1), int64(0)
	switch len(nums) {
	case 1:
		last = nums[0]
	case 2:
		first, last = nums[0], nums[1]
	case 3:
		first, step, last = nums[0], nums[1], nums[2]
	default:
		return c.failf("missing operand")
	}
	if step == 0 {
		return c.failf("invalid Zero increment value: '0'")
	}
	sep, given := f.get("s")
	if !given {
		sep = "\n"
	}
	out := bufio.NewWriter(c.out)
	for n := first; step > 0 && n <= last || step < 0 && n >= last; n += step {
		if n != first {
			out.WriteString(sep)
		}
		if _, err := out.WriteString(strconv.FormatInt(n, 10)); err != nil {
			return 141
		}
	}
	if step > 0 && first <= last || step < 0 && first >= last {
		out.WriteByte('\n')
	}
	return c.flush(out)
}

// seqArgs keeps negative numbers from being read as options.
func (c *cmd) seqArgs() (flags, []string, bool) {
	for i, arg := range c.args {
		if _, err := strconv.ParseInt(arg, 10, 64); err == nil {
			rest := c.args[i:]
			c.args = c.args[:i]
			f, none, ok := c.parse("s:", "separator:=s")
			return f, append(none, rest...), ok
		}
	}
	f, rest, ok := c.parse("s:", "separator:=s")
	return f, rest, ok
}
