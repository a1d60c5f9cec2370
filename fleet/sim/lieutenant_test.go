package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func stream(t *testing.T, vm *VM) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vm.Root(), piOut))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func TestFinish(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("marketing")
	client := mustLogin(t, s, vm)
	if out := stream(t, vm); strings.Count(out, `"agent_start"`) != 3 || strings.Count(out, `"agent_end"`) != 2 || !vm.atWork() {
		t.Errorf("marketing is not at work:\n%s", out)
	}
	if err := s.Finish("marketing"); err != nil {
		t.Fatal(err)
	}
	if out := stream(t, vm); !strings.Contains(lastLine(out), `{"type":"agent_end","messages":[{"role":"assistant"`) || !strings.Contains(lastLine(out), `"stopReason":"stop"`) || vm.atWork() {
		t.Errorf("marketing did not finish:\n%s", out)
	}
	if out, _, err := run(t, client, "ls /root/workspace/images | grep final", ""); err != nil || out != "final-01.png\nfinal-02.png\n" {
		t.Errorf("images: %q %v", out, err)
	}
	before := stream(t, vm)
	if err := s.Finish(MarketingID); err != nil || stream(t, vm) != before {
		t.Errorf("finished twice: %v", err)
	}
	if err := s.Finish("metrics"); err == nil {
		t.Error("a support VM finished work")
	}
}

func TestPrompt(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("investigator")
	client := mustLogin(t, s, vm)
	before := len(stream(t, vm))
	out, errOut, err := run(t, client, `tmux has-session -t pi-rpc && [ -p /tmp/pi-rpc/in ] && cat > /tmp/pi-rpc/in`, `{"type":"prompt","message":"why?"}`+"\n")
	if err != nil || out != "" || errOut != "" {
		t.Fatalf("%q %q %v", out, errOut, err)
	}
	said := stream(t, vm)[before:]
	if !strings.HasPrefix(said, `{"type":"response","command":"prompt","success":true}`) || !strings.Contains(said, "why?") ||
		!strings.HasPrefix(lastLine(said), `{"type":"agent_end"`) {
		t.Errorf("answer:\n%s", said)
	}
	for line, want := range map[string]string{`{"type":"get_state"}`: `"data":{"isCompacting":false,"isStreaming":false,"messageCount":`, `junk`: `not JSON`, `{"type":"x"}`: `Unknown command`} {
		before := len(stream(t, vm))
		if _, _, err := run(t, client, "printf '%s\\n' '"+line+"' > /tmp/pi-rpc/in", ""); err != nil {
			t.Error(err)
		}
		if said := stream(t, vm)[before:]; !strings.Contains(said, want) {
			t.Errorf("%s: %s", line, said)
		}
	}
}

func TestLiveStream(t *testing.T) {
	s := start(t, Config{tick: time.Millisecond})
	vm := s.VM("marketing")
	client := mustLogin(t, s, vm)
	out, _, err := run(t, client, "n=$(grep -c text_delta /tmp/pi-rpc/out); "+
		"until [ $(grep -c text_delta /tmp/pi-rpc/out) -ge $((n+5)) ]; do sleep 0.01; done; echo talks", "")
	if err != nil || out != "talks\n" {
		t.Errorf("%q %v", out, err)
	}
	if err := s.Finish("marketing"); err != nil {
		t.Error(err)
	}
}

// TestDeeds: what each deed leaves in the stream, in the order in which the agent writes it.
func TestDeeds(t *testing.T) {
	for _, tt := range []struct {
		deeds string
		want  string // of the types of events, those behind the deeds
	}{
		{"finish", "message_update agent_end"},
		{"fail", "agent_end"},
		{"retry", "agent_end auto_retry_start"},
		{"retry work finish", "agent_end auto_retry_start agent_start message_start auto_retry_end message_update agent_end"},
		{"retry give-up", "agent_end auto_retry_start agent_start message_start agent_end auto_retry_end"},
		{"ask", "tool_execution_start extension_ui_request"},
		{"silence", ""},
		{"long-lines finish", "tool_execution_end message_update agent_end"},
		{"finish finish fail ask", "message_update agent_end"},
	} {
		t.Run(tt.deeds, func(t *testing.T) {
			s := start(t, Config{Still: true})
			vm := s.VM("marketing")
			before := len(stream(t, vm))
			for deed := range strings.FieldsSeq(tt.deeds) {
				if err := s.Deed("marketing", deed); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for line := range strings.Lines(stream(t, vm)[before:]) {
				kind, _, _ := strings.Cut(strings.TrimPrefix(line, `{"type":"`), `"`)
				got = append(got, kind)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	s := start(t, Config{Still: true})
	if s.Deed("marketing", "fly") == nil || s.Deed("golden", "ask") == nil || s.Deed("nobody", "ask") == nil {
		t.Error("nonsense was done")
	}
}

// TestRestart: a start removes the stream, and what was said stays in the session file.
func TestRestart(t *testing.T) {
	s := start(t, Config{Still: true})
	vm := s.VM("marketing")
	client := mustLogin(t, s, vm)
	sessions := func() string {
		out, _, err := run(t, client, "cat "+piSessions+"/*", "")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	old := sessions()
	if strings.Count(old, `"role":"assistant"`) != 2 || !strings.HasPrefix(old, `{"type":"session","version":3`) {
		t.Errorf("session:\n%s", old)
	}
	if err := s.Deed("marketing", "exit"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, client, "tmux has-session -t pi-rpc", ""); err == nil || s.Deed("marketing", "ask") == nil {
		t.Error("it still runs")
	}
	if err := s.Deed("marketing", "restart"); err != nil {
		t.Fatal(err)
	}
	if out := stream(t, vm); out != "" || sessions() != old {
		t.Errorf("stream %q, session\n%s", out, sessions())
	}
	if _, _, err := run(t, client, `tmux has-session -t pi-rpc && echo '{"type":"prompt","message":"again?"}' > /tmp/pi-rpc/in`, ""); err != nil {
		t.Error(err)
	}
	if out := sessions(); strings.Count(out, `"type":"session"`) != 2 || !strings.Contains(out, "again?") {
		t.Errorf("session:\n%s", out)
	}
}
