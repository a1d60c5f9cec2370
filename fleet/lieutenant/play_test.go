//go:build unix

package lieutenant

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// play writes a lieutenant's day at random, and knows at every moment what is to be found out about it. What it writes,
// and in which order, is what the agent does (docs/platform.md).
type play struct {
	*rand.Rand
	stream strings.Builder

	phase    Phase
	text     string   // of the phase: part of it
	answers  []string // complete ones with a text
	failed   string   // a run that failed without a word after them
	answered []string
	settled  bool

	words   string // of the answer that is being written: what counts of it
	message string // of its present message
	lost    string // that of a run that is tried again
	tries   int    // that failed
	asked   int
	newer   bool // this agent tells willRetry and agent_settled
}

func newPlay(seed uint64) *play {
	p := &play{Rand: rand.New(rand.NewPCG(seed, 1)), phase: PhaseIdle, settled: true}
	p.newer = p.IntN(2) == 0
	return p
}

func (p *play) write(format string, args ...any) { fmt.Fprintf(&p.stream, format+"\n", args...) }

// noise is what may stand anywhere and means nothing.
func (p *play) noise() {
	switch p.IntN(12) {
	case 0:
		p.write(`{"id":"r","type":"response","command":"get_state","success":true,"data":{"isStreaming":false,"note":"agent_end"}}`)
	case 1:
		p.write(`{"type":"extension_ui_request","id":"n","method":"notify","message":"agent_start"}`)
	case 2:
		p.write(`npm warn: "agent_end"`)
	case 3:
		p.write(`{"type":"extension_error","error":"{\"type\":\"agent_end\"}"}`)
	case 4:
		p.write(`{"type":"message_start","message":{"role":"custom","content":"x"}}`)
	}
}

// step lets one thing happen.
func (p *play) step() {
	p.noise()
	p.settled = true
	switch p.phase {
	case PhaseIdle, PhaseFailed:
		p.run()
	case PhaseRetrying:
		if p.IntN(4) == 0 {
			p.write(`{"type":"auto_retry_end","success":false,"attempt":%d,"finalError":"Retry cancelled"}`, p.tries)
			p.message = p.lost
			p.giveUp("Retry cancelled")
			return
		}
		p.run()
	case PhaseWaiting:
		p.answered = append(p.answered, fmt.Sprintf("ask-%d", p.asked))
		p.phase, p.text = PhaseWorking, ""
		if p.IntN(2) == 0 { // the answer alone leaves no trace in the stream
			p.answered = p.answered[:len(p.answered)-1]
			p.write(`{"type":"tool_execution_end","toolCallId":"t","isError":false}`)
		}
	case PhaseWorking:
		p.work()
	}
	p.noise()
}

// run begins a run: the first of an answer, or another try.
func (p *play) run() {
	if p.phase != PhaseRetrying {
		p.words, p.tries = "", 0
	}
	p.phase, p.text, p.message = PhaseWorking, "", ""
	p.write(`{"type":"agent_start"}`)
	p.write(`{"type":"message_start","message":{"role":"user","content":[]}}`)
	p.write(`{"type":"message_start","message":{"role":"assistant","content":[]}}`)
}

func (p *play) work() {
	switch p.IntN(10) {
	case 0, 1, 2:
		word := fmt.Sprintf("w%d ", p.IntN(1000))
		p.stream.WriteString(delta(word))
		p.message += word
	case 3:
		p.write(`{"type":"message_update","message":{},"assistantMessageEvent":{"type":"thinking_delta","delta":"agent_end"}}`)
	case 4:
		p.write(`{"type":"tool_execution_update","toolCallId":"t","partialResult":{"type":"agent_end"}}`)
	case 5: // its next message
		if p.tries > 0 && p.IntN(2) == 0 {
			p.write(`{"type":"auto_retry_end","success":true,"attempt":%d}`, p.tries)
			p.tries = -1
		}
		p.words, p.message = p.words+p.message, ""
		p.write(`{"type":"message_start","message":{"role":"assistant"}}`)
	case 6:
		p.asked++
		p.write(`{"type":"extension_ui_request","id":"ask-%d","method":"select","title":"Which %d?","options":["a","b"]}`, p.asked, p.asked)
		p.phase, p.text = PhaseWaiting, fmt.Sprintf("Which %d? (a, b)", p.asked)
		if p.IntN(3) == 0 {
			p.write(`{"type":"tool_execution_update","toolCallId":"other"}`)
		}
	case 7, 8:
		p.end(p.IntN(2) == 0)
	case 9:
		p.write(`{"type":"compaction_start"}`)
		p.write(`{"type":"compaction_end","willRetry":false}`)
		p.write(`{"type":"turn_start"}`)
	}
}

// end ends the run.
func (p *play) end(failed bool) {
	if p.tries == -1 {
		p.tries = 0
	}
	again := failed && p.tries < 2 && p.IntN(3) > 0
	bulk := ""
	if p.IntN(4) == 0 {
		bulk = strings.Repeat("iVBORw0KGgo+/AAA", 9<<10) // more than is fetched at once
	}
	reason, extra := `"stopReason":"stop","timestamp":1`, ""
	if failed {
		reason = fmt.Sprintf(`"stopReason":"error","timestamp":1,"errorMessage":"overloaded \"%d\""`, p.tries)
	}
	if p.newer {
		extra = fmt.Sprintf(`,"willRetry":%t`, again)
	}
	if p.tries > 0 && !failed {
		p.write(`{"type":"auto_retry_end","success":true,"attempt":%d}`, p.tries)
	}
	p.write(`{"type":"agent_end","messages":[{"role":"user","content":"{\"stopReason\":\"error\"}"},{"role":"toolResult","content":[{"type":"image","data":"%s"}]},{"role":"assistant","content":[{"type":"toolCall","arguments":{"stopReason":"error"}}],%s}]%s}`, bulk, reason, extra)
	switch {
	case again:
		p.tries++
		p.phase, p.text = PhaseRetrying, fmt.Sprintf("attempt %d of 3 after: overloaded", p.tries)
		p.lost, p.message = p.message, ""
		p.write(`{"type":"auto_retry_start","attempt":%d,"maxAttempts":3,"delayMs":2000,"errorMessage":"overloaded"}`, p.tries)
	case failed && p.tries > 0:
		p.write(`{"type":"auto_retry_end","success":false,"attempt":%d,"finalError":"overloaded"}`, p.tries)
		p.giveUp("overloaded")
	case failed:
		p.settled = p.newer
		p.giveUp(`overloaded "0"`)
	default:
		p.phase, p.text = PhaseIdle, ""
		p.answers, p.failed = append(p.answers, p.words+p.message), ""
	}
	if p.newer && !again {
		p.write(`{"type":"agent_settled"}`)
	}
}

// giveUp is the end of an answer that failed.
func (p *play) giveUp(why string) {
	p.phase, p.text = PhaseFailed, why
	if words := p.words + p.message; words != "" {
		p.answers, p.failed = append(p.answers, words), ""
		return
	}
	p.failed = "overloaded"
}

// restart is a new start of the agent, which removes its stream.
func (p *play) restart(t *testing.T, s *Stream) {
	check(t, os.Remove(s.paths.out))
	*p = play{Rand: p.Rand, phase: PhaseIdle, settled: true, newer: p.newer}
	s.write(t)
}

// TestAnyOrder: whatever a lieutenant did, its phase and its answers are found out.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	days := 12
	if testing.Short() {
		days = 3 // mostly shells are at work
	}
	if os.Getenv("VERS_FLEET_TORTURE") == "1" {
		days = 500
	}
	s := newStream(t, local{[]string{need(t, "sh"), "-c"}, tmuxEnv(t)})
	session(t, s)
	for seed := range uint64(days) {
		p := newPlay(seed)
		s.write(t)
		for range 12 {
			if p.IntN(12) == 0 {
				p.restart(t, s)
			}
			for range 1 + p.IntN(4) {
				p.step()
			}
			s.write(t, p.stream.String())
			p.stream.Reset()
			if cut := p.IntN(3) == 0; cut { // read while a line is being written
				s.write(t, `{"type":"agent_e`)
				p.check(t, s, seed)
				info, err := os.Stat(s.paths.out)
				check(t, err)
				check(t, os.Truncate(s.paths.out, info.Size()-int64(len(`{"type":"agent_e`))))
			} else {
				p.check(t, s, seed)
			}
			if t.Failed() {
				file, _ := os.ReadFile(s.paths.out)
				t.Fatalf("seed %d, the end of the stream: %s", seed, file[max(0, len(file)-3000):])
			}
		}
		p.restart(t, s)
	}
}

// check compares what is found out with what happened.
func (p *play) check(t *testing.T, s *Stream, seed uint64) {
	t.Helper()
	st, err := s.Status(t.Context(), StatusOptions{SilentAfter: time.Hour, Answered: p.answered})
	if err != nil || st.Phase != p.phase || !strings.Contains(st.Text, p.text) || st.Settled != (p.settled && !p.phase.AtWork()) {
		t.Errorf("seed %d: %+v, %v; want %s %q, settled %t", seed, st, err, p.phase, p.text, p.settled)
	}
	all, err := s.Answers(t.Context(), Query{})
	if got := texts(all.List); err != nil || strings.Join(got, "|") != strings.Join(p.answers, "|") || !strings.Contains(all.Failed, p.failed) {
		t.Errorf("seed %d: answers %q (%q), %v; want %q (%q)", seed, got, all.Failed, err, p.answers, p.failed)
	}
	last, err := s.Answers(t.Context(), Query{Last: 1})
	if want := p.answers[max(0, len(p.answers)-1):]; err != nil || strings.Join(texts(last.List), "|") != strings.Join(want, "|") {
		t.Errorf("seed %d: last %q, %v; want %q", seed, texts(last.List), err, want)
	}
}
