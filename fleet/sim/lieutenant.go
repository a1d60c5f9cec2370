package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

// The files through which a lieutenant is spoken to (platform.md).
const (
	piDir = "/tmp/pi-rpc"
	piIn  = piDir + "/in"
	piOut = piDir + "/out"
	piErr = piDir + "/err"

	maxDeltas = 20_000 // a lieutenant left alone falls silent then
)

// lieutenant is the agent process on a VM.
type lieutenant struct {
	vm     *VM
	m      *box.Machine
	ctx    context.Context
	cancel context.CancelFunc
	voice  sync.WaitGroup

	mu      sync.Mutex
	busy    bool
	dead    bool
	pending []byte // an unfinished line from the FIFO
	said    int
}

// event is one line of the event stream.
type piEvent struct {
	Type    string    `json:"type"`
	Message *piDelta  `json:"assistantMessageEvent,omitempty"`
	Command string    `json:"command,omitempty"`
	Success *bool     `json:"success,omitempty"`
	Error   string    `json:"error,omitempty"`
	Data    *piStatus `json:"data,omitempty"`
}

type piDelta struct {
	Type  string `json:"type"`
	Delta string `json:"delta"`
}

type piStatus struct {
	IsStreaming bool `json:"isStreaming"`
}

func newLieutenant(vm *VM, m *box.Machine) *lieutenant {
	p := &lieutenant{vm: vm, m: m}
	p.ctx, p.cancel = context.WithCancel(vm.sim.ctx)
	return p
}

// begin makes the lieutenant's files and lets it talk if it is at work.
func (p *lieutenant) begin() error {
	if err := p.m.FS.MkdirAll(piDir, 0o755); err != nil {
		return err
	}
	if _, err := p.m.FS.Lstat(piIn); err != nil {
		if err := errors.Join(p.m.FS.WriteFile(piIn, nil, 0o644), p.m.FS.WriteFile(piErr, nil, 0o644)); err != nil {
			return err
		}
		p.history()
	}
	p.m.FS.SetSpecial(piIn, p.fifo())
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.vm.busy() {
		return nil
	}
	p.busy = true
	p.emit(piEvent{Type: "agent_start"})
	p.delta("Working on it. ")
	if !p.vm.sim.cfg.Still {
		p.voice.Go(p.talk)
	}
	return nil
}

// history is what was said before the simulator started.
func (p *lieutenant) history() {
	name := p.vm.hostname()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, text := range []string{
		"Ready. I am " + name + " and work in /root/workspace.",
		"First draft is done:\n- sources in place\n- logs in logs/\n\nNext I polish it. ✓",
	} {
		ok := true
		p.emit(piEvent{Type: "response", Command: "prompt", Success: &ok})
		p.answer(text)
		p.said = i + 1
	}
}

// answer emits one whole answer.
func (p *lieutenant) answer(text string) {
	p.emit(piEvent{Type: "agent_start"})
	for _, word := range strings.SplitAfter(text, " ") {
		p.delta(word)
	}
	p.emit(piEvent{Type: "agent_end"})
}

func (p *lieutenant) delta(text string) {
	p.emit(piEvent{Type: "message_update", Message: &piDelta{Type: "text_delta", Delta: text}})
}

// emit appends one event; p.mu is held.
func (p *lieutenant) emit(e piEvent) {
	line, err := json.Marshal(e)
	if err == nil {
		err = p.m.FS.Append(piOut, append(line, '\n'))
	}
	if err != nil && p.ctx.Err() == nil {
		p.vm.sim.cfg.Logf("sim: event stream of %s: %v", p.vm.id, err)
	}
}

// talk goes on with an answer until somebody finishes it.
func (p *lieutenant) talk() {
	words := strings.Fields("Rendering the next variation , comparing it with the brief , and adjusting light and type .")
	for i := range maxDeltas {
		if !p.vm.sim.pause(p.ctx, p.vm.sim.cfg.Tick) {
			return
		}
		p.mu.Lock()
		if !p.busy || p.dead {
			p.mu.Unlock()
			return
		}
		p.delta(words[i%len(words)] + " ")
		p.mu.Unlock()
	}
}

// finish writes the last images and ends the answer.
func (p *lieutenant) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.busy {
		return nil
	}
	c := &content{fs: p.m.FS, vm: p.vm, now: time.Now().Add(3 * time.Hour)} // content's files are three hours old
	c.images(workspace+"/images", "final", 2)
	c.text(workspace+"/DONE.md", "All images are in images/. The final ones are final-01.png and final-02.png.\n")
	if c.err != nil {
		return fmt.Errorf("last files of %s: %w", p.vm.id, c.err)
	}
	p.delta("\n\nDone. The final images are in /root/workspace/images.")
	p.emit(piEvent{Type: "agent_end"})
	p.busy = false
	p.said++
	return nil
}

func (p *lieutenant) working() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy && !p.dead
}

func (p *lieutenant) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

func (p *lieutenant) stop() {
	p.cancel()
	p.voice.Wait()
}

// processes is what ps shows of the lieutenant.
func (p *lieutenant) processes() []box.Process {
	if !p.alive() {
		return nil
	}
	return []box.Process{
		{PID: 310, Command: "tmux new-session -d -s pi-rpc"},
		{PID: 311, Command: "pi --mode rpc"},
	}
}

// StopAgent ends a lieutenant's process: nobody reads its FIFO any more and
// its tmux session is gone. A crash leaves a half-written event and a message
// in its error file.
func (vm *VM) StopAgent(crash bool) error {
	if _, err := vm.machine(); err != nil {
		return err
	}
	p := vm.pi
	if p == nil {
		return fmt.Errorf("VM %s is no lieutenant", vm.id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	if !crash {
		return nil
	}
	return errors.Join(
		p.m.FS.Append(piOut, []byte(`{"type":"message_update","assistantMessageEvent":{"type":"text_de`)),
		p.m.FS.Append(piErr, []byte("fatal: out of memory\n")))
}

// take reads what arrives through the FIFO, line by line.
func (p *lieutenant) take(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, data...)
	for {
		line, rest, found := bytes.Cut(p.pending, []byte("\n"))
		if !found {
			break
		}
		p.pending = bytes.Clone(rest)
		p.obey(line)
	}
}
