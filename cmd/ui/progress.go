package ui

import (
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// How often progress is drawn on a terminal and told in a log.
const (
	drawEvery = 100 * time.Millisecond
	logEvery  = time.Minute
)

// Update is news of one line of work. Counters are absolute, not increments.
type Update struct {
	Key   string // which line: the VM's name
	Done  int64  // bytes so far
	Total int64  // bytes in all, 0 while unknown
	Text  string // what is at work now: the current file
	End   End
}

// End says whether a line of work is over.
type End int

// The ends.
const (
	Running End = iota
	Finished
	Failed
)

// Progress shows work on several VMs: a line each and a total on a terminal,
// one summary line per minute elsewhere, nothing when quiet or with
// --no-progress. Update is cheap and may be called from many goroutines for
// every block; drawing happens at its own pace.
type Progress struct {
	s     *Streams
	now   func() time.Time
	mu    sync.Mutex
	lines []*progressLine
	index map[string]*progressLine
	since time.Time
	rate  rate
	quit  chan struct{}
	done  chan struct{}
	once  sync.Once
}

type progressLine struct {
	Update
	rate  rate
	moved time.Time // when there was news of it last
}

// NewProgress starts a progress display on Err. Stop must be called.
func (s *Streams) NewProgress() *Progress {
	p := &Progress{
		s: s, now: time.Now, index: map[string]*progressLine{},
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	p.since = p.now()
	every := drawEvery
	if !s.Moving() {
		every = logEvery
	}
	if s.Quiet() || s.rules.NoProgress {
		close(p.done)
		return p
	}
	go p.run(every)
	return p
}

// Update records news; an unknown Key adds a line.
func (p *Progress) Update(u Update) {
	u.Key, u.Text = safe.Clean(u.Key), safe.Clean(u.Text)
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.index[u.Key]
	if l == nil {
		l = &progressLine{}
		p.index[u.Key] = l
		p.lines = append(p.lines, l)
	}
	now := p.now()
	if l.moved.IsZero() || u != l.Update {
		l.moved = now
	}
	l.Update = u
	l.rate.add(now, u.Done)
}

// Stop ends the display and removes it from the terminal. The caller prints
// its summary afterwards. It may be called several times.
func (p *Progress) Stop() {
	p.once.Do(func() { close(p.quit) })
	<-p.done
}

func (p *Progress) run(every time.Duration) {
	defer close(p.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.quit:
			p.s.display.clear()
			return
		case <-tick.C:
			p.show()
		}
	}
}

func (p *Progress) show() {
	if p.s.Moving() {
		// One line less than the screen: a region that scrolls cannot be erased.
		p.s.display.draw(p.render(p.s.errWidth()-1, p.s.errHeight()-1))
		return
	}
	p.s.Notef("%s", p.summary())
}
