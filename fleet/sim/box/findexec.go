package box

import (
	"errors"
	"strings"
)

// batch collects names for -exec ... +.
type batch struct {
	s     *search
	args  []string
	names []string
}

const batchSize = 2000

// exec parses -exec cmd ... ; and -exec cmd ... {} +.
func (p *findParser) exec() (findTest, error) {
	p.acts = true
	var args []string
	for len(p.args) > 0 {
		arg := p.next()
		if arg == ";" {
			return func(f *found) bool { return p.s.execOne(args, f) }, nil
		}
		if arg == "+" && len(args) > 1 && args[len(args)-1] == "{}" {
			b := &batch{s: p.s, args: args[:len(args)-1]}
			p.s.batches = append(p.s.batches, b)
			return b.add, nil
		}
		args = append(args, arg)
	}
	return nil, errors.New("missing argument to '-exec'")
}

func (s *search) execOne(args []string, f *found) bool {
	run := make([]string, len(args))
	for i, arg := range args {
		run[i] = strings.ReplaceAll(arg, "{}", f.shown)
	}
	_ = s.out.Flush() // what was printed comes first; a closed pipe shows at the end
	return s.c.child(run) == 0
}

func (b *batch) add(f *found) bool {
	b.names = append(b.names, f.shown)
	if len(b.names) >= batchSize {
		b.flush()
	}
	return true
}

func (b *batch) flush() {
	if len(b.names) == 0 {
		return
	}
	_ = b.s.out.Flush() // as in execOne
	if b.s.c.child(append(append([]string{}, b.args...), b.names...)) != 0 {
		b.s.status = 1
	}
	b.names = nil
}

// child runs another command with this one's streams.
func (c *cmd) child(args []string) int {
	if len(args) == 0 || c.ctx.Err() != nil {
		return 1
	}
	sub := *c
	return sub.start(args)
}
