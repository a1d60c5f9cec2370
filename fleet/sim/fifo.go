package sim

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

// fifo is the lieutenant's /tmp/pi-rpc/in. Opening it behaves as a FIFO does:
// without a reader a writer waits, or with O_NONBLOCK fails with ENXIO.
func (p *lieutenant) fifo() box.Special {
	return box.Special{
		Mode: fs.ModeNamedPipe | 0o644,
		Open: func(ctx context.Context, flag int) (box.File, error) {
			if flag&(os.O_WRONLY|os.O_RDWR) == 0 || !p.alive() {
				if flag&syscall.O_NONBLOCK != 0 {
					return nil, syscall.ENXIO
				}
				select { // the lieutenant reads all there is: another reader gets nothing
				case <-ctx.Done():
				case <-p.ctx.Done():
				}
				return nil, syscall.EINTR
			}
			return &fifoWriter{p: p}, nil
		},
	}
}

// fifoWriter is the writing end.
type fifoWriter struct{ p *lieutenant }

func (w *fifoWriter) Read([]byte) (int, error) { return 0, io.EOF }

func (w *fifoWriter) Write(data []byte) (int, error) {
	if !w.p.alive() {
		return 0, syscall.EPIPE
	}
	w.p.take(data)
	return len(data), nil
}

func (w *fifoWriter) Close() error { return nil }

// Stat is not needed by anything that writes to a FIFO.
func (w *fifoWriter) Stat() (fs.FileInfo, error) { return nil, syscall.ENOSYS }

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
			if !p.vm.sim.pause(p.ctx, p.vm.sim.cfg.Tick) {
				return
			}
			p.mu.Lock()
			if !p.busy || p.dead { // finished or stopped by somebody else
				p.mu.Unlock()
				return
			}
			p.delta(word)
			p.mu.Unlock()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy && !p.dead {
			p.emit(piEvent{Type: "agent_end"})
			p.busy = false
			p.said++
		}
	})
}
