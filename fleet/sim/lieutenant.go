package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

// The files through which a lieutenant is spoken to (docs/platform.md).
const (
	piDir = "/tmp/pi-rpc"
	piIn  = piDir + "/in"
	piOut = piDir + "/out"
	piErr = piDir + "/err"

	piSession = "pi-rpc" // in tmux

	maxDeltas = 20_000 // a lieutenant left alone falls silent then
)

// lieutenant is the agent process on a VM.
type lieutenant struct {
	vm     *VM
	fs     *box.FS
	ctx    context.Context
	cancel context.CancelFunc
	voice  sync.WaitGroup

	mu      sync.Mutex
	busy    bool
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

func newLieutenant(vm *VM, files *box.FS) *lieutenant {
	p := &lieutenant{vm: vm, fs: files}
	p.ctx, p.cancel = context.WithCancel(vm.sim.ctx)
	return p
}

// begin makes the lieutenant's files, all but its FIFO, and lets it talk if it
// is at work.
func (p *lieutenant) begin() error {
	if err := p.fs.MkdirAll(piDir, 0o755); err != nil {
		return err
	}
	if err := p.fs.WriteFile(piErr, nil, 0o644); err != nil {
		return err
	}
	p.history()
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
		err = p.fs.Append(piOut, append(line, '\n'))
	}
	if err != nil && p.ctx.Err() == nil {
		p.vm.sim.cfg.Logf("sim: event stream of %s: %v", p.vm.id, err)
	}
}

// talk goes on with an answer until somebody finishes it.
func (p *lieutenant) talk() {
	words := strings.Fields("Rendering the next variation , comparing it with the brief , and adjusting light and type .")
	for i := range maxDeltas {
		if !p.vm.sim.pause(p.ctx, p.vm.sim.cfg.tick) {
			return
		}
		p.mu.Lock()
		if !p.busy {
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
	c := &content{fs: p.fs, vm: p.vm, now: time.Now().Add(3 * time.Hour)} // content's files are three hours old
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
	return p.busy
}

func (p *lieutenant) stop() {
	p.cancel()
	p.voice.Wait()
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

// obey serves one command line; p.mu is held.
func (p *lieutenant) obey(line []byte) {
	var cmd struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	yes, no := true, false
	if err := json.Unmarshal(line, &cmd); err != nil {
		p.emit(piEvent{Type: "response", Success: &no, Error: "Failed to parse command: not JSON"})
		return
	}
	ok := piEvent{Type: "response", Command: cmd.Type, Success: &yes}
	switch cmd.Type {
	case "get_state":
		ok.Data = &piStatus{IsStreaming: p.busy}
		p.emit(ok)
	case "prompt":
		if p.busy {
			p.emit(piEvent{Type: "response", Command: cmd.Type, Success: &no, Error: "Agent is already processing"})
			return
		}
		p.emit(ok)
		p.reply(cmd.Message)
	case "steer", "follow_up":
		p.emit(ok)
		if p.busy {
			p.delta("(Noted: " + cmd.Message + ") ")
		} else {
			p.reply(cmd.Message)
		}
	default:
		p.emit(piEvent{Type: "response", Command: cmd.Type, Success: &no, Error: "Unknown command: " + cmd.Type})
	}
}

// reply answers a prompt, word by word at the lieutenant's pace, or at once
// when it is configured to be still; p.mu is held.
func (p *lieutenant) reply(message string) {
	text := "You asked: " + message + "\nDone, see /root/workspace."
	if p.vm.sim.cfg.Still {
		p.answer(text)
		p.said++
		return
	}
	p.busy = true
	p.emit(piEvent{Type: "agent_start"})
	p.voice.Go(func() {
		for _, word := range strings.SplitAfter(text, " ") {
			if !p.vm.sim.pause(p.ctx, p.vm.sim.cfg.tick) {
				return
			}
			p.mu.Lock()
			if !p.busy { // finished by somebody else
				p.mu.Unlock()
				return
			}
			p.delta(word)
			p.mu.Unlock()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy {
			p.emit(piEvent{Type: "agent_end"})
			p.busy = false
			p.said++
		}
	})
}
