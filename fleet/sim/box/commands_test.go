package box

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"
)

// TestOwnCommands looks at what has no counterpart on this machine, or another
// one there.
func TestOwnCommands(t *testing.T) {
	m := newMachine(t)
	m.Tmux = func() string { return "pi-rpc" }
	for _, c := range []struct{ name, command, want string }{
		{"hostname", `hostname`, "vm1\n"},
		{"home", `pwd; echo ~ $HOME $USER ${TMPDIR:-/tmp}`, "/root\n/root /root root /tmp\n"},
		{"date", `[ $(date +%s) -gt 1700000000 ] && [ "$(date)" ] && echo now`, "now\n"},
		{"tmux", `tmux has-session -t pi-rpc && tmux has-session -t =pi-rpc && echo up; tmux has-session -t other 2>/dev/null || echo none`, "up\nnone\n"},
		{"df", `df -h /root | head -n 1 | grep -c Avail; df | grep -c ' /$'`, "1\n1\n"},
		{"uptime", `uptime | grep -c 'up 0 days.*load average'`, "1\n"},
		{"command v", `command -v tar; command -v rsync || echo no; command -v cd; command -v /bin/cat; command -v ./cat || echo no`, "/usr/bin/tar\nno\ncd\n/bin/cat\nno\n"},
		{"source", `echo 'V=7' > s; . ./s; echo $V; source /root/s; rm s`, "7\n"},
		{"mine", `[ -O /root ] && [[ -G /root ]] && echo mine`, "mine\n"},
		{"devices", `echo gone > /dev/null; head -c 3 /dev/zero | tr -d '\0'; cat /dev/null; echo in | cat /dev/stdin`, "in\n"},
		{"trap", `trap 'echo bye' EXIT INT; echo hi`, "hi\nbye\n"},
		{"bash", `[[ abc == a* ]] && a=(1 2) && echo "${a[1]} ${a[@]}"; bash -c 'echo in bash'`, "2 1 2\nin bash\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, _ := sh(t, m, c.command)
			if out != c.want {
				t.Errorf("%s: %q, want %q", c.command, out, c.want)
			}
		})
	}
}

// Arguments that come one by one are answered one by one: a client waits for
// each answer before it asks further.
func TestXargsRunsWhatIsComplete(t *testing.T) {
	for command, ask := range map[string]string{
		`xargs -0 -n 2 echo`:                  "a\x00b\x00",
		`xargs -0 -n 3 sh -c 'echo $1 $3' sh`: "a\x00c\x00b\x00",
		`xargs -0 sh -c 'echo "$1 b"' sh`:     strings.Repeat("a\x00", argRoom),
	} {
		t.Run(command, func(t *testing.T) {
			m := newMachine(t)
			in, feed := io.Pipe()
			out, answer := io.Pipe()
			ended := make(chan int, 1)
			go func() {
				ended <- m.run(t.Context(), job{command: command, stdin: in, stdout: answer, stderr: io.Discard})
			}()
			go func() { _, _ = io.WriteString(feed, ask) }()
			got := make(chan string)
			go func() {
				r := bufio.NewReader(out)
				line, _ := r.ReadString('\n')
				got <- line
				_, _ = io.Copy(io.Discard, r)
			}()
			select {
			case text := <-got:
				if text != "a b\n" {
					t.Errorf("answer %q", text)
				}
			case <-time.After(time.Minute):
				t.Error("no answer while the input is open")
			}
			_ = feed.Close()
			<-ended
		})
	}
}

func TestRefusals(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		command, stderr string
		status          int
	}{
		{"python3 -c 1", "sh: python3: not available in the simulator", 127},
		{"/usr/bin/perl", "No such file", 127},
		{"ls --zap", "option --zap: not available in the simulator", 2},
		{"ls -R", "option -R: not available in the simulator", 2},
		{"head -y", "option -y: not available in the simulator", 1},
		{"find . -regex x", "-regex: not available in the simulator", 1},
		{"find . -printf %Q", "not available in the simulator", 1},
		{"find . -exec echo {} ;", "not available in the simulator", 1},
		{"stat a", "not available in the simulator", 1},
		{"tar -czf x.tgz .", "not available in the simulator", 2},
		{"xargs echo", "not available in the simulator", 1},
		{"exit 42", "", 42},
		{"cat <(echo x)", "process substitution: not available", 2},
		{"eval 'cat <(echo x)'", "cannot create fifo", 0},
		{"printf '\\x7fELF\\0' > e; chmod +x e; ./e", "not available in the simulator", 126},
		{"printf '#!/usr/bin/python3\\n' > p; chmod +x p; ./p", "not available in the simulator", 127},
		{"rm -rf /", "Refusing", 1},
		{"kill -9 1", "kill: not available in the simulator", 127},
		{"type cat", "type: not available in the simulator", 127},
		{"pwd -X", "option -X: not available in the simulator", 1},
		{"f() { f; }; f", "nesting", 1},
		{"x=$(yes)", "", 141},
	} {
		_, errOut, status := sh(t, m, c.command)
		if status != c.status || !strings.Contains(errOut, c.stderr) {
			t.Errorf("%q: status %d, want %d; stderr %q, want %q", c.command, status, c.status, errOut, c.stderr)
		}
	}
}
