package box

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/pattern"
)

func zeroTime() time.Time { return time.Unix(0, 0).UTC() }

// findParser turns find's expression into a test.
type findParser struct {
	s      *search
	args   []string
	acts   bool // an action was given: no -print of its own
	nested int
}

type findTest = func(*found) bool

// whole parses the whole expression and adds -print if it has no action.
func (p *findParser) whole() (findTest, error) {
	test := func(*found) bool { return true }
	if len(p.args) > 0 {
		var err error
		if test, err = p.or(); err != nil {
			return nil, err
		}
		if len(p.args) > 0 {
			return nil, fmt.Errorf("unexpected argument '%s'", p.args[0])
		}
	}
	if p.acts {
		return test, nil
	}
	return func(f *found) bool {
		if test(f) {
			p.s.print(f, "%p")
			p.s.out.WriteByte('\n')
		}
		return true
	}, nil
}

func (p *findParser) next() string {
	arg := p.args[0]
	p.args = p.args[1:]
	return arg
}

func (p *findParser) or() (findTest, error) {
	left, err := p.and()
	for err == nil && len(p.args) > 0 && (p.args[0] == "-o" || p.args[0] == "-or") {
		p.next()
		a := left
		var b findTest
		b, err = p.and()
		left = func(f *found) bool { return a(f) || b(f) }
	}
	return left, err
}

func (p *findParser) and() (findTest, error) {
	left, err := p.not()
	for err == nil && len(p.args) > 0 && !slices.Contains([]string{"-o", "-or", ")"}, p.args[0]) {
		if p.args[0] == "-a" || p.args[0] == "-and" {
			p.next()
		}
		a := left
		var b findTest
		b, err = p.not()
		left = func(f *found) bool { return a(f) && b(f) }
	}
	return left, err
}

func (p *findParser) not() (findTest, error) {
	if len(p.args) == 0 {
		return nil, errors.New("expected an expression")
	}
	switch p.args[0] {
	case "!", "-not":
		p.next()
		inner, err := p.not()
		return func(f *found) bool { return !inner(f) }, err
	case "(":
		p.next()
		if p.nested++; p.nested > 100 {
			return nil, errors.New("too many parentheses")
		}
		inner, err := p.or()
		if err == nil && (len(p.args) == 0 || p.next() != ")") {
			err = errors.New("missing closing ')'")
		}
		return inner, err
	}
	return p.primary()
}

func (p *findParser) primary() (findTest, error) {
	name := p.next()
	if test, known := p.plain(name); known {
		return test, nil
	}
	if name == "-exec" {
		return p.exec()
	}
	if !slices.Contains(strings.Fields("-name -iname -path -wholename -ipath -type -newer -newermt -size -mtime -mmin "+
		"-maxdepth -mindepth -printf -perm -links -inum -samefile -user -group -uid -gid -regextype"), name) {
		return nil, fmt.Errorf("predicate '%s': not available in the simulator", name)
	}
	if len(p.args) == 0 {
		return nil, fmt.Errorf("missing argument to '%s'", name)
	}
	return p.withValue(name, p.next())
}

// plain are the predicates without a value.
func (p *findParser) plain(name string) (findTest, bool) {
	yes := func(*found) bool { return true }
	s := p.s
	switch name {
	case "-true", "-xdev", "-mount", "-noleaf", "-ignore_readdir_race": // one file system, no leaf tricks here
		return yes, true
	case "-false", "-nouser", "-nogroup":
		return func(*found) bool { return false }, true
	case "-depth":
		s.depth = true
		return yes, true
	case "-prune":
		return func(*found) bool { s.prune = true; return true }, true
	case "-empty":
		return func(f *found) bool {
			if f.fi.IsDir() {
				list, err := s.c.fs.ReadDir(f.full)
				return err == nil && len(list) == 0
			}
			return f.fi.Mode().IsRegular() && f.fi.Size() == 0
		}, true
	case "-executable":
		return func(f *found) bool { return f.fi.Mode().Perm()&0o111 != 0 }, true
	case "-readable", "-writable":
		return yes, true
	case "-print", "-print0", "-ls", "-quit", "-delete":
		p.acts = true
		return p.action(name), true
	}
	return nil, false
}

func (p *findParser) action(name string) findTest {
	s := p.s
	return func(f *found) bool {
		switch name {
		case "-print":
			s.print(f, "%p\n")
		case "-print0":
			s.print(f, "%p\x00")
		case "-ls":
			s.print(f, "%i %k %M %n %u %g %s %t %p\n")
		case "-quit":
			s.quit = true
		case "-delete":
			if err := s.c.fs.Remove(f.full); err != nil {
				s.complain(f.shown, err)
				return false
			}
		}
		return true
	}
}

// withValue are the predicates that take a value.
func (p *findParser) withValue(name, value string) (findTest, error) {
	s := p.s
	switch name {
	case "-maxdepth", "-mindepth":
		n, err := strconv.Atoi(value)
		if name == "-maxdepth" {
			s.max = n
		} else {
			s.min = n
		}
		return func(*found) bool { return true }, err
	case "-name", "-iname", "-path", "-wholename", "-ipath":
		return globTest(name, value)
	case "-type":
		letters := strings.Split(value, ",")
		return func(f *found) bool { return slices.Contains(letters, typeLetter(f.fi.Mode())) }, nil
	case "-newer", "-samefile":
		fi, err := s.c.fs.Stat(s.c.path(value))
		if err != nil {
			return nil, fmt.Errorf("‘%s’: %s", value, reason(err))
		}
		if name == "-samefile" {
			return func(f *found) bool { return sysOf(f.fi) == sysOf(fi) }, nil
		}
		return func(f *found) bool { return f.fi.ModTime().After(fi.ModTime()) }, nil
	case "-newermt":
		at, err := parseTime(value, time.Now())
		return func(f *found) bool { return f.fi.ModTime().After(at) }, err
	case "-printf":
		if bad := badFormat(value); bad != "" {
			return nil, fmt.Errorf("-printf %s: not available in the simulator", bad)
		}
		p.acts = true
		format := unescape(value)
		return func(f *found) bool { s.print(f, format); return true }, nil
	case "-user", "-group", "-uid", "-gid":
		return func(*found) bool { return value == "root" || value == "0" }, nil
	case "-perm":
		return permTest(value)
	}
	return compareTest(name, value)
}

func globTest(name, value string) (findTest, error) {
	expr, err := pattern.Regexp(value, pattern.EntireString)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "-i") {
		expr = "(?i)" + expr
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	base := name == "-name" || name == "-iname"
	return func(f *found) bool {
		text := f.shown
		if base {
			text = text[strings.LastIndexByte(strings.TrimRight(text, "/"), '/')+1:]
		}
		return re.MatchString(text)
	}, nil
}

func permTest(value string) (findTest, error) {
	digits := strings.TrimLeft(value, "-/")
	want, err := strconv.ParseUint(digits, 8, 32)
	if err != nil {
		return nil, fmt.Errorf("-perm %s: not available in the simulator", value)
	}
	return func(f *found) bool {
		have := uint64(unixMode(f.fi.Mode()))
		switch value[0] {
		case '-':
			return have&want == want
		case '/':
			return want == 0 || have&want != 0
		}
		return have == want
	}, nil
}

// compareTest are the predicates with a number: +n more, -n less, n exactly.
func compareTest(name, value string) (findTest, error) {
	unit := int64(1)
	text := strings.TrimLeft(value, "+-")
	if name == "-size" {
		unit = 512
		if text != "" {
			if factor, found := map[byte]int64{'c': 1, 'w': 2, 'b': 512, 'k': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[text[len(text)-1]]; found {
				unit, text = factor, text[:len(text)-1]
			}
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("invalid argument '%s' to '%s'", value, name)
	}
	return func(f *found) bool {
		var have int64
		switch name {
		case "-size":
			have = (f.fi.Size() + unit - 1) / unit
		case "-mtime":
			have = int64(time.Since(f.fi.ModTime()) / (24 * time.Hour))
		case "-mmin":
			have = int64(time.Since(f.fi.ModTime()) / time.Minute)
		case "-links":
			have = int64(sysOf(f.fi).nlink)
		case "-inum":
			have = int64(sysOf(f.fi).ino)
		}
		switch value[0] {
		case '+':
			return have > n
		case '-':
			return have < n
		}
		return have == n
	}, nil
}
