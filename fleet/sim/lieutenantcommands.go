package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

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

// piCommand is one line of the FIFO.
type piCommand struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Message   string `json:"message"`
	Behavior  string `json:"streamingBehavior"`
	Value     string `json:"value"`
	Confirmed *bool  `json:"confirmed"`
}

// respond answers a command; why is the reason that it is refused for, or "".
func (p *lieutenant) respond(id, command, why string, pairs ...any) {
	pairs = append([]any{"command", command, "success", why == ""}, pairs...)
	if why != "" {
		pairs = append(pairs, "error", why)
	}
	line := object("response", pairs...)
	if id != "" { // the agent's responses begin with it
		line = append([]byte(fmt.Sprintf(`{"id":%q,`, id)), line[1:]...)
	}
	p.append(piOut, append(line, '\n'))
}

// obey serves one command line; p.mu is held.
func (p *lieutenant) obey(line []byte) {
	var cmd piCommand
	if err := json.Unmarshal(line, &cmd); err != nil {
		p.respond("", "parse", "Failed to parse command: not JSON")
		return
	}
	if p.gone {
		return
	}
	switch cmd.Type {
	case "get_state":
		p.respond(cmd.ID, cmd.Type, "", "data", map[string]any{"isStreaming": p.busy, "isCompacting": false, "sessionFile": p.session, "messageCount": p.messages})
	case "get_session_stats":
		p.respond(cmd.ID, cmd.Type, "", "data", p.stats())
	case "prompt":
		if p.busy && cmd.Behavior == "" {
			p.respond(cmd.ID, cmd.Type, "Agent is already processing")
			return
		}
		p.respond(cmd.ID, cmd.Type, "")
		p.told(cmd.Message)
	case "steer", "follow_up":
		p.respond(cmd.ID, cmd.Type, "")
		p.told(cmd.Message)
	case "abort":
		p.abort()
		p.respond(cmd.ID, cmd.Type, "")
	case "extension_ui_response":
		p.answered(cmd)
	default:
		p.respond(cmd.ID, cmd.Type, "Unknown command: "+cmd.Type)
	}
}

// stats is what the session has used: about a token for four letters.
func (p *lieutenant) stats() map[string]any {
	tokens := p.chars / 4
	return map[string]any{
		"sessionFile": p.session, "userMessages": p.messages - p.answers, "assistantMessages": p.answers, "toolCalls": p.answers, "toolResults": p.answers,
		"totalMessages": p.messages, "cost": float64(tokens) * 15 / 1e6,
		"tokens": map[string]int{"input": tokens * 3, "output": tokens, "cacheRead": tokens * 2, "cacheWrite": 0, "total": tokens * 6},
	}
}

// told takes a message into the work at hand, or answers it: word by word at
// the lieutenant's pace, or at once when it is configured to be still.
func (p *lieutenant) told(message string) {
	p.keep("user", message, "")
	if p.busy {
		p.say("(Noted: " + message + ") ")
		return
	}
	p.try = 0
	text := "You asked: " + message + "\nDone, see /root/workspace."
	if p.vm.sim.cfg.Still {
		p.answer(text)
		return
	}
	p.start()
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
			p.say(word)
			p.mu.Unlock()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy {
			p.end("stop", "")
		}
	})
}

// abort stops what the lieutenant is doing.
func (p *lieutenant) abort() {
	if p.try > 0 {
		p.emit("auto_retry_end", "success", false, "attempt", p.try, "finalError", "Retry cancelled")
		p.try = 0
	}
	if p.busy {
		p.end("aborted", "")
	}
}

// answered takes the answer to the open question; others are passed over.
func (p *lieutenant) answered(cmd piCommand) {
	if cmd.ID != p.asked || p.asked == "" {
		return
	}
	p.asked = ""
	value := cmd.Value
	if cmd.Confirmed != nil {
		value = fmt.Sprint(*cmd.Confirmed)
	}
	p.emit("tool_execution_end", "toolCallId", "call_"+cmd.ID, "toolName", "bash", "isError", false)
	p.say("(You chose " + value + ".) ")
}
