package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
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

	piSession  = "pi-rpc" // in tmux
	piSessions = "/root/.pi/agent/sessions/--root-workspace--"

	maxDeltas = 20_000 // a lieutenant left alone falls silent then
)

// lieutenant is the agent on a VM. What it writes, and in which order, is what
// the agent does (docs/platform.md).
type lieutenant struct {
	vm     *VM
	fs     *box.FS
	ctx    context.Context
	cancel context.CancelFunc
	voice  sync.WaitGroup

	mu      sync.Mutex
	gone    bool   // its process does not run
	busy    bool   // between agent_start and agent_end
	quiet   bool   // at work, and says nothing
	try     int    // of the next run, announced by auto_retry_start; 0 = none was
	asked   string // id of the question that it waits on; "" = none
	asks    int    // questions so far
	bulk    int    // bytes of images in the messages of the present run
	pending []byte // an unfinished line from the FIFO
	words   string // of the message that is being written
	at      int64  // when that began, in milliseconds

	starts   int // of the process
	session  string
	messages int // in the session
	answers  int
	chars    int // said in the session
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.newSession(); err != nil {
		return err
	}
	p.history()
	if !p.vm.busy() {
		return nil
	}
	p.start()
	p.say("Working on it. ")
	if !p.vm.sim.cfg.Still {
		p.voice.Go(p.talk)
	}
	return nil
}

// newSession gives the agent the session of a new start.
func (p *lieutenant) newSession() error {
	p.starts++
	p.messages, p.answers, p.chars = 0, 0, 0
	id := p.vm.sim.uuid(fmt.Sprintf("session %d of %s", p.starts, p.vm.id))
	p.at = max(p.at+1, p.vm.sim.now().UnixMilli())
	began := time.UnixMilli(p.at).UTC().Format("2006-01-02T15-04-05.000Z")
	p.session = path.Join(piSessions, strings.Replace(began, ".", "-", 1)+"_"+id+".jsonl")
	return p.fs.MkdirAll(piSessions, 0o755)
}

// history is what was said before the simulator started.
func (p *lieutenant) history() {
	for _, text := range []string{
		"Ready. I am " + p.vm.hostname() + " and work in /root/workspace.",
		"First draft is done:\n- sources in place\n- logs in logs/\n\nNext I polish it. ✓",
	} {
		p.respond("", "prompt", "")
		p.keep("user", "Go on.", "")
		p.answer(text)
	}
}

// answer is one whole answer.
func (p *lieutenant) answer(text string) {
	p.start()
	for _, word := range strings.SplitAfter(text, " ") {
		p.say(word)
	}
	p.end("stop", "")
}

// start begins a run.
func (p *lieutenant) start() {
	p.busy, p.words, p.at = true, "", max(p.at+1, p.vm.sim.now().UnixMilli()) // no two messages at a time
	p.emit("agent_start")
	p.emit("message_start", "message", piMessage{Role: "assistant", Timestamp: p.at})
}

// say is a piece of what it says.
func (p *lieutenant) say(text string) {
	p.words += text
	p.emit("message_update", "message", piMessage{Role: "assistant", Timestamp: p.at}, "assistantMessageEvent", piDelta{"text_delta", 0, text})
}

// end ends the run, for the reason that its last message gives.
func (p *lieutenant) end(reason, why string) {
	p.busy, p.quiet, p.asked = false, false, ""
	m := piMessage{Role: "assistant", Content: []piText{{"text", p.words}}, StopReason: reason, Timestamp: p.at, Error: why}
	all := []piMessage{m}
	if p.bulk > 0 {
		all = append([]piMessage{{Role: "toolResult", Content: []piText{{"image", strings.Repeat("iVBORw0KGgo+/AAA", p.bulk/16)}}}}, m)
		p.bulk = 0
	}
	p.emit("agent_end", "messages", all)
	p.keep("assistant", p.words, reason, why)
	p.answers++
	p.words = ""
}

// keep writes a message into the session file, which begins with the first
// message of the agent's.
func (p *lieutenant) keep(role, text, reason string, why ...string) {
	m := piMessage{Role: role, Content: []piText{{"text", text}}, StopReason: reason, Timestamp: max(p.at, p.vm.sim.now().UnixMilli()), Error: strings.Join(why, "")}
	if role == "assistant" {
		m.Timestamp = p.at
	}
	var lines [][]byte
	if p.messages == 0 {
		lines = append(lines, object("session", "version", 3, "id", path.Base(p.session), "cwd", workspace))
	}
	p.messages++
	p.chars += len(text)
	lines = append(lines, object("message", "id", fmt.Sprintf("%08x", p.messages), "timestamp", p.vm.sim.now().UTC(), "message", m), nil)
	p.append(p.session, bytes.Join(lines, []byte("\n")))
}

// piMessage is a message of the agent's history.
type piMessage struct {
	Role       string   `json:"role"`
	Content    []piText `json:"content,omitempty"`
	StopReason string   `json:"stopReason,omitempty"`
	Timestamp  int64    `json:"timestamp,omitempty"` // milliseconds
	Error      string   `json:"errorMessage,omitempty"`
}

type piText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type piDelta struct {
	Type  string `json:"type"`
	Index int    `json:"contentIndex"`
	Delta string `json:"delta"`
}

// object is a line of JSON that begins with its type, then the pairs of names
// and values.
func object(kind string, pairs ...any) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type":%q`, kind)
	for i := 0; i+1 < len(pairs); i += 2 {
		value, err := json.Marshal(pairs[i+1])
		if err != nil {
			value = []byte("null") // cannot be: the values are plain
		}
		fmt.Fprintf(&b, `,%q:%s`, pairs[i], value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// emit appends one event; p.mu is held.
func (p *lieutenant) emit(kind string, pairs ...any) {
	p.append(piOut, append(object(kind, pairs...), '\n'))
}

func (p *lieutenant) append(file string, data []byte) {
	if err := p.fs.Append(file, data); err != nil && p.ctx.Err() == nil {
		p.vm.sim.cfg.Logf("sim: %s of %s: %v", file, p.vm.id, err)
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
		if !p.quiet && p.asked == "" {
			p.say(words[i%len(words)] + " ")
		}
		p.mu.Unlock()
	}
}

func (p *lieutenant) working() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy
}

func (p *lieutenant) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.gone
}

func (p *lieutenant) stop() {
	p.cancel()
	p.voice.Wait()
}

// removeStream removes what every start of the agent removes; the FIFO of a
// simulated VM stays where it is.
func (p *lieutenant) removeStream() error {
	for _, file := range []string{piOut, piErr} {
		if err := os.Remove(filepath.Join(p.vm.folder(), filepath.FromSlash(file))); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := p.fs.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// sinceLong makes the stream as old as if nothing had been said for long.
func (p *lieutenant) sinceLong() error {
	long := p.vm.sim.now().Add(-time.Hour)
	return p.fs.Chtimes(piOut, long, long)
}
