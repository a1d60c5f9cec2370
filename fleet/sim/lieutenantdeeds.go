package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Deeds are what can be made to happen to a lieutenant, with a word of help
// each: the verbs of `vers-fleet sim do`.
func Deeds() map[string]string {
	return map[string]string{
		"finish":     "ends its task, with the last images",
		"work":       "begins a task, or its next try",
		"fail":       "its run fails for good",
		"retry":      "its run fails, and it says that it will try again",
		"give-up":    "its last try fails too",
		"ask":        "asks something, and waits for the answer",
		"silence":    "says nothing any more, and has not for an hour",
		"long-lines": "writes 5 MB in one line, and once more at the end of its run",
		"restart":    "starts anew: what it said is only in its session file",
		"exit":       "its process ends",
	}
}

// Deed makes one of the Deeds happen to a lieutenant. What does not fit its
// state, such as a finish while it is idle, does nothing.
func (s *Sim) Deed(nameOrID, deed string) error {
	vm := s.VM(nameOrID)
	if vm == nil {
		return fmt.Errorf("no VM %q in the simulator", nameOrID)
	}
	if _, known := Deeds()[deed]; !known {
		return fmt.Errorf("a lieutenant cannot %q", deed)
	}
	if _, err := vm.boot(); err != nil {
		return err
	}
	if vm.pi == nil {
		return fmt.Errorf("VM %q is no lieutenant", nameOrID)
	}
	if deed == "restart" || deed == "exit" {
		return vm.onGuest(func(g guest) error { return errors.Join(vm.pi.process(deed == "restart"), g.agent(deed == "restart")) })
	}
	return vm.pi.do(deed)
}

// Finish is the Deed finish.
func (s *Sim) Finish(nameOrID string) error { return s.Deed(nameOrID, "finish") }

// do makes something happen.
func (p *lieutenant) do(deed string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return fmt.Errorf("the lieutenant of %s is not running", p.vm.Name())
	}
	if !p.busy && (deed == "work" || p.try > 0) {
		p.next()
	}
	if !p.busy {
		return nil
	}
	switch deed {
	case "finish":
		return p.finish()
	case "fail":
		p.end("error", "401 authentication_error: invalid x-api-key")
	case "retry":
		p.fail(true)
	case "give-up":
		p.try = max(p.try, 1)
		p.fail(false)
	case "ask":
		p.ask()
	case "silence":
		p.quiet = true
		return p.sinceLong()
	case "long-lines":
		p.bulk = 5 << 20
		p.emit("tool_execution_end", "toolCallId", "call_1", "toolName", "read", "result", piText{"image", strings.Repeat("iVBORw0KGgo+/AAA", p.bulk/16)})
	}
	return nil
}

// next begins a task, or the try that was announced.
func (p *lieutenant) next() {
	if p.try == 0 {
		p.keep("user", "Go on.", "")
	}
	p.start()
	if !p.vm.sim.cfg.Still {
		p.voice.Go(p.talk)
	}
}

// overloaded is why a run fails that can be tried again.
const overloaded = "529 overloaded_error: Overloaded"

// fail ends a run that failed, before another try or for good. That a try
// follows comes behind the end of the run, as with the agent.
func (p *lieutenant) fail(again bool) {
	p.end("error", overloaded)
	if again {
		p.try++
		p.emit("auto_retry_start", "attempt", p.try, "maxAttempts", 3, "delayMs", 2000, "errorMessage", overloaded)
		return
	}
	p.emit("auto_retry_end", "success", false, "attempt", p.try, "finalError", overloaded)
	p.try = 0
}

// ask opens a dialog.
func (p *lieutenant) ask() {
	p.asks++
	p.asked = fmt.Sprintf("ask-%d", p.asks)
	p.emit("tool_execution_start", "toolCallId", "call_"+p.asked, "toolName", "bash")
	p.emit("extension_ui_request", "id", p.asked, "method", "select", "title", "Delete the old renders?", "options", []string{"Allow", "Block"})
}

// finish writes the last images and ends the answer.
func (p *lieutenant) finish() error {
	c := &content{fs: p.fs, vm: p.vm, now: time.Now().Add(3 * time.Hour)} // content's files are three hours old
	c.images(workspace+"/images", "final", 2)
	c.text(workspace+"/DONE.md", "All images are in images/. The final ones are final-01.png and final-02.png.\n")
	if c.err != nil {
		return fmt.Errorf("last files of %s: %w", p.vm.id, c.err)
	}
	if p.try > 0 {
		p.emit("auto_retry_end", "success", true, "attempt", p.try)
		p.try = 0
	}
	p.say("\n\nDone. The final images are in /root/workspace/images.")
	p.end("stop", "")
	return nil
}

// process ends the agent's process, wherever it is in its work, and starts it
// again if it is to run. A start removes the stream.
func (p *lieutenant) process(run bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy, p.quiet, p.asked, p.try, p.bulk, p.words, p.gone = false, false, "", 0, 0, "", !run
	if !run {
		return nil
	}
	return errors.Join(p.removeStream(), p.newSession())
}
