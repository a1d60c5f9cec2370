package box

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
)

func cmdDf(c *cmd) int {
	f, names, ok := c.parse("hkPTBi", "human-readable=h", "portability=P", "output:=output", "block-size:=bs")
	if !ok {
		return 1
	}
	if f.on("output") || f.on("B") || f.on("bs") || f.on("i") {
		return c.failf("options -B, -i and --output: not available in the simulator")
	}
	for _, name := range names {
		if _, err := c.fs.Stat(c.path(name)); err != nil {
			return c.fail(name, err)
		}
	}
	total, free := c.fs.Space()
	size := func(n int64) string {
		if f.on("h") {
			return human(n)
		}
		return strconv.FormatInt(n/1024, 10)
	}
	fmt.Fprintf(c.out, "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 %s %s %s %d%% /\n",
		size(total), size(total-free), size(free), (total-free)*100/total)
	return 0
}

// cmdTmux only knows the session of a lieutenant.
func cmdTmux(c *cmd) int {
	if len(c.args) < 3 || c.args[0] != "has-session" || c.args[1] != "-t" {
		return c.failf("not available in the simulator")
	}
	session := strings.TrimPrefix(c.args[2], "=")
	if session == "" || session != c.m.Tmux {
		return c.failf("can't find session: %s", session)
	}
	return 0
}

func cmdWhich(c *cmd) int {
	_, names, ok := c.parse("as")
	if !ok {
		return 2
	}
	return c.locate(names, func(string) bool { return false })
}

// locate prints where commands are; those that keep accepts by name alone.
func (c *cmd) locate(names []string, keep func(string) bool) int {
	status := 0
	for _, name := range names {
		base := name[strings.LastIndexByte(name, '/')+1:]
		switch {
		case keep(name):
			fmt.Fprintln(c.out, name)
		case c.sh.table[base] != nil && isBinary(name, base):
			if base == name {
				name = "/usr/bin/" + name
			}
			fmt.Fprintln(c.out, name)
		default:
			status = 1
		}
	}
	return status
}

// cmdCommandV is `command -v` and its relatives, which in the interpreter
// would look for programs on the host.
func cmdCommandV(c *cmd) int {
	f, names, ok := c.parse("vVp")
	if !ok {
		return 2
	}
	if !f.on("v") && !f.on("V") {
		return c.subshell(Quote(names), "sh", nil)
	}
	return c.locate(names, func(name string) bool { return interp.IsBuiltin(name) })
}

func cmdType(c *cmd) int {
	f, names, ok := c.parse("tpPa")
	if !ok {
		return 2
	}
	status := 0
	for _, name := range names {
		kind, text := "", ""
		switch {
		case interp.IsBuiltin(name):
			kind, text = "builtin", name+" is a shell builtin"
		case c.sh.table[name] != nil:
			kind, text = "file", name+" is /usr/bin/"+name
		default:
			if !f.on("t") && !f.on("p") && !f.on("P") {
				c.failf("%s: not found", name)
			}
			status = 1
			continue
		}
		switch {
		case f.on("t"):
			text = kind
		case f.on("p") || f.on("P"):
			text = "/usr/bin/" + name
		}
		fmt.Fprintln(c.out, text)
	}
	return status
}

func cmdStty(c *cmd) int {
	tty := c.sh.s.TTY
	if tty == nil {
		return c.failf("'standard input': Inappropriate ioctl for device")
	}
	raw, echo := tty.Mode()
	cols, rows := tty.Size()
	for _, arg := range c.args {
		switch arg {
		case "size":
			fmt.Fprintf(c.out, "%d %d\n", rows, cols)
		case "-a", "-g":
			fmt.Fprintf(c.out, "speed 38400 baud; rows %d; columns %d;\n", rows, cols)
		case "raw", "-icanon":
			raw = true
		case "cooked", "-raw", "icanon":
			raw = false
		case "sane":
			raw, echo = false, true
		case "echo":
			echo = true
		case "-echo":
			echo = false
		default:
			return c.failf("%s: not available in the simulator", arg)
		}
	}
	tty.SetMode(raw, echo)
	return 0
}

func cmdTty(c *cmd) int {
	if c.sh.s.TTY == nil {
		fmt.Fprintln(c.out, "not a tty")
		return 1
	}
	fmt.Fprintln(c.out, "/dev/pts/0")
	return 0
}

func cmdTput(c *cmd) int {
	if len(c.args) != 1 || c.sh.s.TTY == nil {
		return c.failf("no terminal, or unknown capability")
	}
	cols, rows := c.sh.s.TTY.Size()
	text, found := map[string]string{"cols": fmt.Sprintf("%d\n", cols), "lines": fmt.Sprintf("%d\n", rows), "colors": "256\n",
		"clear": "\x1b[H\x1b[2J", "bold": "\x1b[1m", "sgr0": "\x1b[0m"}[c.args[0]]
	if !found {
		return c.failf("%s: not available in the simulator", c.args[0])
	}
	_, _ = io.WriteString(c.out, text)
	return 0
}

// cmdSay makes a command that prints one text.
func cmdSay(text string) command {
	return func(c *cmd) int {
		_, _ = io.WriteString(c.out, text)
		return 0
	}
}

func cmdUptime(c *cmd) int {
	up := time.Since(c.m.Started).Truncate(time.Minute)
	fmt.Fprintf(c.out, " %s up %s, 1 user, load average: 0.08, 0.03, 0.01\n", time.Now().UTC().Format("15:04:05"), up)
	return 0
}

func cmdFree(c *cmd) int {
	f, _, ok := c.parse("hmkbg")
	if !ok {
		return 1
	}
	size := func(kib int64) string {
		switch {
		case f.on("h"):
			return human(kib << 10)
		case f.on("m"):
			return strconv.FormatInt(kib>>10, 10)
		}
		return strconv.FormatInt(kib, 10)
	}
	fmt.Fprintf(c.out, "%15s%12s%12s\nMem: %10s%12s%12s\n", "total", "used", "free", size(memoryKiB), size(memoryKiB/8), size(memoryKiB/8*7))
	return 0
}

func cmdUmask(c *cmd) int {
	if len(c.args) == 0 {
		fmt.Fprintln(c.out, "0022")
	}
	return 0
}
