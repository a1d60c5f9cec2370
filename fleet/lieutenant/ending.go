package lieutenant

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// ending is how a run of the agent ended, and what follows it.
type ending struct {
	Failed  bool          // stopReason "error"
	Again   bool          // the agent goes on by itself
	Known   bool          // whether it goes on is known: willRetry was there
	Text    string        // why it failed, as the agent wrote it
	Attempt int           // of KindRetry: the number of the next try, from 1
	Of      int           // of KindRetry: so many tries at most
	Delay   time.Duration // of KindRetry: until that try
}

// stopped is what an assistant's message says of its end.
type stopped struct {
	Role         string `json:"role"`
	StopReason   string `json:"stopReason"`
	ErrorMessage string `json:"errorMessage"`
}

// endOfRun reads a whole agent_end, whose last message of the agent tells how the run ended.
func endOfRun(o object) ending {
	var e ending
	if raw, has := o["willRetry"]; has {
		e.Known, e.Again = true, string(raw) == "true"
	}
	var messages []lenient[stopped]
	_ = json.Unmarshal(o["messages"], &messages) // what is not there has not failed
	for i := len(messages) - 1; i >= 0; i-- {
		if m := messages[i].V; m.Role == "assistant" {
			e.Failed, e.Text = m.StopReason == "error", m.ErrorMessage
			break
		}
	}
	return e
}

// endPatterns find what matters at the end of an agent_end that is not kept in whole. Within a text the quotes would have
// backslashes; an argument of a tool may have a field of that name, but stands before that of the message.
type endPatterns struct{ stopReason, errorText, willRetry *regexp.Regexp }

var inTail = sync.OnceValue(func() endPatterns {
	return endPatterns{
		stopReason: regexp.MustCompile(`[,{]\s*"stopReason"\s*:\s*"([a-zA-Z]*)"`),
		errorText:  regexp.MustCompile(`[,{]\s*"errorMessage"\s*:\s*`),
		willRetry:  regexp.MustCompile(`\]\s*,\s*"willRetry"\s*:\s*(true|false)\s*\}\s*$`),
	}
})

// endInTail reads the last bytes of an agent_end.
func endInTail(tail []byte) ending {
	var e ending
	if m := inTail().willRetry.FindSubmatch(tail); m != nil {
		e.Known, e.Again = true, string(m[1]) == "true"
	}
	all := inTail().stopReason.FindAllSubmatchIndex(tail, -1)
	if len(all) == 0 {
		return e
	}
	last := all[len(all)-1]
	e.Failed = string(tail[last[2]:last[3]]) == "error"
	if at := inTail().errorText.FindIndex(tail[last[1]:]); e.Failed && at != nil {
		_ = json.NewDecoder(bytes.NewReader(tail[last[1]+at[1]:])).Decode(&e.Text) // without a text it has failed all the same
	}
	return e
}

// retryOf reads an auto_retry_start.
func retryOf(o object) ending {
	delay := time.Duration(min(max(o.number("delayMs"), 0), 1e9)) * time.Millisecond
	return ending{Failed: true, Again: true, Text: o.text("errorMessage"), Attempt: int(o.number("attempt")), Of: int(o.number("maxAttempts")), Delay: delay}
}

// why is the text of an ending in one line.
func (e ending) why() string { return cmp.Or(oneLine(e.Text), "it did not say why") }

// attempt is "attempt 2 of 3" as far as it is known.
func (e ending) attempt() string {
	switch {
	case e.Attempt > 0 && e.Of > 0:
		return fmt.Sprintf("attempt %d of %d", e.Attempt, e.Of)
	case e.Attempt > 0:
		return fmt.Sprintf("attempt %d", e.Attempt)
	}
	return "another attempt"
}

// lenient is a field whose wrong type does not spoil the whole event.
type lenient[T any] struct{ V T }

// UnmarshalJSON leaves the zero value where the type is another.
func (l *lenient[T]) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &l.V) != nil {
		l.V = *new(T)
	}
	return nil
}
