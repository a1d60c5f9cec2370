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
	if out := stream(t, vm); !strings.HasSuffix(out, "{\"type\":\"agent_end\"}\n") || vm.atWork() {
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
		!strings.HasSuffix(said, "{\"type\":\"agent_end\"}\n") {
		t.Errorf("answer:\n%s", said)
	}
	for line, want := range map[string]string{`{"type":"get_state"}`: `"data":{"isStreaming":false}`, `junk`: `not JSON`, `{"type":"x"}`: `Unknown command`} {
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
