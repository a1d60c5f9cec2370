package box

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kernel and machine that every simulated VM claims to be.
const (
	kernelName    = "Linux"
	kernelRelease = "6.12.0-sim"
	cpuName       = "x86_64"
	cpuCount      = 2
	memoryKiB     = 1 << 20
)

func randomName(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails, by its documentation
	for i, b := range raw {
		raw[i] = letters[int(b)%len(letters)]
	}
	return string(raw)
}

func cmdSleep(c *cmd) int {
	var total time.Duration
	for _, arg := range c.args {
		d, err := duration(arg)
		if err != nil {
			return c.failf("%v", err)
		}
		total += d
	}
	if len(c.args) == 0 {
		return c.failf("missing operand")
	}
	wait(c.ctx, total)
	return 0
}

// duration reads 5, 0.5, 2m, 1h or infinity.
func duration(text string) (time.Duration, error) {
	if text == "infinity" || text == "inf" {
		return 1 << 62, nil
	}
	unit := time.Second
	digits := text
	if text != "" {
		if u, found := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]; found {
			unit, digits = u, text[:len(text)-1]
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n < 0 || n > 1e9 {
		return 0, fmt.Errorf("invalid time interval '%s'", text)
	}
	return time.Duration(n * float64(unit)), nil
}

func cmdYes(c *cmd) int {
	text := "y\n"
	if len(c.args) > 0 {
		text = strings.Join(c.args, " ") + "\n"
	}
	chunk := bytes.Repeat([]byte(text), max(8192/len(text), 1))
	for {
		if _, err := c.out.Write(chunk); err != nil {
			return 141
		}
	}
}

func cmdEnv(c *cmd) int {
	own, rest := splitOptions(c.args, "u")
	c.args = own
	f, _, ok := c.parse("iu:0", "ignore-environment=i", "unset:=u", "null=0")
	if !ok {
		return 125
	}
	env := c.environ()
	if f.on("i") {
		env = nil
	}
	for _, name := range f.all("u") {
		env = slices.DeleteFunc(env, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	}
	for len(rest) > 0 && strings.Contains(rest[0], "=") {
		env = append(env, rest[0])
		rest = rest[1:]
	}
	if len(rest) == 0 {
		end := "\n"
		if f.on("0") {
			end = "\x00"
		}
		for _, pair := range env {
			if _, err := io.WriteString(c.out, pair+end); err != nil {
				return 141
			}
		}
		return 0
	}
	return c.shellRun(Quote(rest), env)
}

func cmdPrintenv(c *cmd) int {
	if len(c.args) == 0 {
		return cmdEnv(c)
	}
	status := 0
	for _, name := range c.args {
		v := c.env.Get(name)
		if !v.IsSet() || !v.Exported {
			status = 1
			continue
		}
		fmt.Fprintln(c.out, v.String())
	}
	return status
}

func cmdHostname(c *cmd) int {
	f, names, ok := c.parse("sfiI", "short=s", "fqdn=f")
	if !ok || len(names) > 0 {
		return c.failf("setting the name: not available in the simulator")
	}
	if f.on("i") || f.on("I") {
		fmt.Fprintln(c.out, "127.0.1.1")
		return 0
	}
	fmt.Fprintln(c.out, c.m.Hostname)
	return 0
}

func cmdUname(c *cmd) int {
	f, _, ok := c.parse("asnrvmpio", "all=a", "kernel-name=s", "nodename=n", "kernel-release=r", "machine=m")
	if !ok {
		return 1
	}
	var parts []string
	for _, p := range [][2]string{{"s", kernelName}, {"n", c.m.Hostname}, {"r", kernelRelease}, {"v", "#1 SMP vers-fleet simulator"},
		{"m", cpuName}, {"o", "GNU/Linux"}} {
		if f.on("a") || f.on(p[0]) || len(f.count) == 0 && p[0] == "s" {
			parts = append(parts, p[1])
		}
	}
	fmt.Fprintln(c.out, strings.Join(parts, " "))
	return 0
}

func cmdID(c *cmd) int {
	f, names, ok := c.parse("ugGn", "user=u", "group=g", "groups=G", "name=n")
	if !ok {
		return 1
	}
	if len(names) > 0 && names[0] != "root" {
		return c.failf("'%s': no such user", names[0])
	}
	switch {
	case len(f.count) == 0:
		fmt.Fprintln(c.out, "uid=0(root) gid=0(root) groups=0(root)")
	case f.on("n"):
		fmt.Fprintln(c.out, "root")
	default:
		fmt.Fprintln(c.out, "0")
	}
	return 0
}

func cmdWhoami(c *cmd) int {
	fmt.Fprintln(c.out, "root")
	return 0
}

func cmdDate(c *cmd) int {
	f, rest, ok := c.parse("ud:r:IR", "utc=u", "universal=u", "date:=d", "reference:=r", "iso-8601=I", "iso-8601:=iso", "rfc-3339:=rfc")
	if !ok {
		return 1
	}
	now := time.Now().UTC()
	if text, given := f.get("d"); given {
		at, err := parseTime(text, now)
		if err != nil {
			return c.failf("%v", err)
		}
		now = at.UTC()
	}
	if name, given := f.get("r"); given {
		fi, err := c.fs.Stat(c.path(name))
		if err != nil {
			return c.fail(name, err)
		}
		now = fi.ModTime().UTC()
	}
	format := "%a %b %e %H:%M:%S UTC %Y"
	switch iso, _ := f.get("iso"); {
	case f.on("I"):
		format = "%F"
	case iso == "seconds" || iso == "s":
		format = "%FT%T+00:00"
	case f.on("iso") || f.on("rfc") || f.on("R"):
		return c.failf("this form: not available in the simulator; use +FORMAT")
	}
	if len(rest) > 0 {
		if format, ok = strings.CutPrefix(rest[0], "+"); !ok {
			return c.failf("setting the time: not available in the simulator")
		}
	}
	text, err := dateFormat(now, format)
	if err != nil {
		return c.failf("%v", err)
	}
	fmt.Fprintln(c.out, text)
	return 0
}

func dateFormat(t time.Time, format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch rest := format[i:]; {
		case rest[0] == '%':
			b.WriteByte('%')
		case strings.HasPrefix(rest, "3N"):
			fmt.Fprintf(&b, "%03d", t.Nanosecond()/1e6)
			i++
		default:
			text, ok := timePart(t, rest[0])
			if !ok || rest[0] == '@' || rest[0] == '+' {
				return "", fmt.Errorf("format %%%c: not available in the simulator", rest[0])
			}
			b.WriteString(text)
		}
	}
	return b.String(), nil
}

// parseTime reads the date forms that scripts use.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "now" || text == "" {
		return now, nil
	}
	if secs, found := strings.CutPrefix(text, "@"); found {
		whole, frac, _ := strings.Cut(secs, ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		nanos, fracErr := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		if err == nil && fracErr == nil {
			return time.Unix(n, nanos), nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700", "2006-01-02 15:04:05.999999999",
		"2006-01-02T15:04:05.999999999", "2006-01-02 15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, strings.TrimSuffix(text, " UTC")); err == nil {
			return at, nil
		}
	}
	fields := strings.Fields(text)
	if len(fields) == 3 && fields[2] == "ago" {
		unit := map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}
		n, err := strconv.Atoi(fields[0])
		if d := unit[strings.TrimSuffix(fields[1], "s")]; err == nil && d > 0 {
			return now.Add(-time.Duration(n) * d), nil
		}
	}
	return now, fmt.Errorf("date '%s': not available in the simulator", text)
}

func cmdDu(c *cmd) int {
	f, names, ok := c.parse("shkbacmd:x", "summarize=s", "human-readable=h", "bytes=b", "all=a", "total=c", "max-depth:=d", "apparent-size=app")
	if !ok {
		return 1
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	depth := -1
	if text, given := f.get("d"); given {
		n, err := strconv.Atoi(text)
		if err != nil {
			return c.failf("invalid depth %q", text)
		}
		depth = n
	}
	if f.on("s") {
		depth = 0
	}
	d := &du{cmd: c, f: f, max: depth}
	var total int64
	status := 0
	for _, name := range names {
		n, err := d.walk(name, 0)
		if err != nil {
			status = c.failf("cannot access '%s': %s", name, reason(err))
		}
		total += n
	}
	if f.on("c") {
		d.show(total, "total")
	}
	return status
}

// du is one run of du.
type du struct {
	*cmd
	f   flags
	max int
}

func (d *du) walk(name string, depth int) (int64, error) {
	full := d.path(name)
	fi, err := d.fs.Lstat(full)
	if err != nil {
		return 0, err
	}
	size := sysOf(fi).blocks * 512
	if d.f.on("b") || d.f.on("app") {
		size = fi.Size()
	}
	if fi.IsDir() {
		entries, err := d.fs.ReadDir(full)
		if err != nil {
			return size, err
		}
		for _, e := range entries {
			n, err := d.walk(path.Join(name, e.Name()), depth+1)
			if err != nil || d.ctx.Err() != nil {
				return size, errors.Join(err, d.ctx.Err())
			}
			size += n
		}
	}
	if (fi.IsDir() || d.f.on("a") || depth == 0) && (d.max < 0 || depth <= d.max) {
		d.show(size, name)
	}
	return size, nil
}

func (d *du) show(size int64, name string) {
	text := strconv.FormatInt((size+1023)/1024, 10)
	switch {
	case d.f.on("h"):
		text = human(size)
	case d.f.on("m"):
		text = strconv.FormatInt((size+1<<20-1)>>20, 10)
	case d.f.on("b"):
		text = strconv.FormatInt(size, 10)
	}
	fmt.Fprintf(d.out, "%s\t%s\n", text, name)
}
