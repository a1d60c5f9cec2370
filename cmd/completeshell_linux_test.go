package cmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// The shells in which a person presses Tab, with a key, Ctrl-X d, that writes
// the line as it stands to $LINE. The script is what `vers-fleet completion`
// prints.
func tabShells() map[string]tabShell {
	return map[string]tabShell{
		"bash": {
			start: []string{"bash", "--noprofile", "--rcfile", "rc", "-i"},
			rc: `PS1='> ' HISTFILE=
. /usr/share/bash-completion/bash_completion
. <(vers-fleet completion bash)
bind -x '"\C-xd": printf %s "$READLINE_LINE" >"$LINE.new"; mv "$LINE.new" "$LINE"'
`,
			words: []string{"bash", "--norc", "-c"},
		},
		"zsh": {
			start: []string{"zsh", "-d", "-i"},
			rc: `PS1='> ' HISTFILE=
autoload -Uz compinit; compinit -u -D
source <(vers-fleet completion zsh)
dump() { print -rn -- "$BUFFER" >$LINE.new; command mv $LINE.new $LINE }
zle -N dump; bindkey '^Xd' dump
`,
			words: []string{"zsh", "-f", "-c"},
		},
		"fish": {
			start: []string{"fish", "-i"},
			rc: `function fish_prompt; echo '> '; end
set fish_greeting
vers-fleet completion fish | source
function dump; set -l now (commandline | string collect); printf %s "$now" >$LINE.new; command mv $LINE.new $LINE; end
bind \cxd dump
`,
			words: []string{"fish", "--no-config", "-c"},
		},
	}
}

type tabShell struct {
	start []string // the interactive shell
	rc    string   // what it runs first
	words []string // runs a command line without a terminal
}

// typist is a person at a shell who presses Tab.
type typist struct {
	*person
	shell     tabShell
	dir, line string
}

// sitAtShell starts the shell in a folder of its own, where a canary would show
// that a name was run.
func sitAtShell(t *testing.T, sh tabShell, env []string) *typist {
	t.Helper()
	path, err := exec.LookPath(sh.start[0])
	if sh.start[0] == "bash" && err == nil {
		_, err = os.Stat("/usr/share/bash-completion/bash_completion")
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI=true needs it: %v", err)
		}
		t.Skipf("left out: %v", err)
	}
	conf, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(conf, "rc"), sh.rc)
	write(t, filepath.Join(conf, ".zshrc"), sh.rc)
	write(t, filepath.Join(conf, "fish", "config.fish"), sh.rc)
	for _, kv := range env {
		if home, ok := strings.CutPrefix(kv, "HOME="); ok { // else fish fills it in the background
			write(t, filepath.Join(home, ".local/share/fish/generated_completions/vers-fleet.fish"), "")
		}
	}
	p := &typist{person: &person{t: t, cmd: exec.Command(path, sh.start[1:]...)}, shell: sh, dir: dir, line: filepath.Join(conf, "line")}
	for i, arg := range p.cmd.Args {
		if arg == "rc" {
			p.cmd.Args[i] = filepath.Join(conf, "rc")
		}
	}
	p.cmd.Dir = dir
	p.cmd.Env = append(slices.Clone(env), "ZDOTDIR="+conf, "XDG_CONFIG_HOME="+conf, "LINE="+p.line, "LC_ALL=C.UTF-8")
	p.sit(&pty.Winsize{Rows: 40, Cols: 200})
	p.sees("> ")
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// now is the command line as it stands, once the shell has done with every key.
func (p *typist) now() string {
	p.t.Helper()
	p.types("\x18d")
	for deadline := time.Now().Add(never); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(p.line); err == nil {
			if err := os.Remove(p.line); err != nil {
				p.t.Fatal(err)
			}
			return string(b)
		}
	}
	p.t.Fatalf("the shell does not answer:\n%s", p.shown())
	return ""
}

// tab types text on an empty line and presses Tab so often; it returns the line
// after that, and fails if anything was run.
func (p *typist) tab(text string, times int) string {
	p.t.Helper()
	p.types("\x01\x0b")
	p.types(text)
	line := ""
	for range times {
		p.types("\t")
		line = p.now()
	}
	p.ran("Tab after " + text)
	return line
}

// run runs vers-fleet beside the shell, which must work.
func (p *typist) run(args ...string) {
	p.t.Helper()
	c := exec.Command("vers-fleet", args...)
	c.Dir, c.Env = p.dir, p.cmd.Env
	if out, err := c.CombinedOutput(); err != nil {
		p.t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// ran fails if a canary sits in the shell's folder, and takes it away.
func (p *typist) ran(what string) {
	p.t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		p.t.Errorf("%s: a name was run: %q", what, e.Name())
		_ = os.RemoveAll(filepath.Join(p.dir, e.Name()))
	}
}

// means is what the shell hands to vers-fleet when Enter is pressed.
func (p *typist) means(line string) []string {
	p.t.Helper()
	bin := p.t.TempDir()
	if err := executable.Write(filepath.Join(bin, "vers-fleet"), strings.NewReader("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")); err != nil {
		p.t.Fatal(err)
	}
	c := exec.Command(p.shell.words[0], append(slices.Clone(p.shell.words[1:]), line)...)
	c.Dir, c.Env = p.dir, append(slices.Clone(p.cmd.Env), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := c.Output()
	if err != nil {
		p.t.Errorf("%s does not run: %v", line, err)
	}
	p.ran("Enter after " + line)
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// canary is a command that shows that it was run. Names of files have no slash.
const canary = "touch HERE"

// hostileNames are names that a shell or a terminal would act on, as names of
// VMs and of files.
func hostileNames() []string {
	return []string{
		"$(" + canary + ")", "`" + canary + "`", ";" + canary + ";", "&&" + canary, "|" + canary, "\n" + canary + "\n",
		"'$(" + canary + ")'", `"$(` + canary + `)"`, `\$(` + canary + `)`, "(" + canary + ")", "{" + canary + ",b}", "=(" + canary + ")",
		"!!", "~", "~root", "*", "?[a]", "#", "%self", "=ls", "${(e):-`" + canary + "`}", ">HERE", "$IFS", "a b", "\u202e b", "\u200b b", "\u2028 b", "\x1b]0;x\a b",
	}
}

// hostilePlatform is a platform whose VMs have hostile names, and one, quiet, that
// has a safe name.
func hostilePlatform(t *testing.T) *sim.Sim {
	t.Helper()
	s := simtest.Start(t, sim.Config{VMs: 60, Seed: 1, Still: true, Guest: sim.GuestBox})
	vms := s.VMs()
	name := func(i int, name, role string) { vms[i].SetLabels(map[string]string{"name": name, "role": role}) }
	name(0, "quiet", "lead $("+canary+") %F{red} \x1b[31m")
	name(1, "prod$("+canary+")a", "") // what two have in common is inserted
	name(2, "prod$("+canary+")b", "")
	name(3, "twin", "$("+canary+")") // and two lines with the same name have more in common
	name(4, "twin", "$("+canary+")")
	name(5, "m\u00fcller", "")
	for i, n := range hostileNames() {
		name(6+i, "q "+n, n)
	}
	return s
}

// What VMs, their owners and the API choose for names is never run by Tab, and
// never stands on the line so that Enter would run it.
func TestTabOffersPlainNames(t *testing.T) {
	long(t)
	t.Parallel()
	s := hostilePlatform(t)
	for name, sh := range tabShells() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sitAtShell(t, sh, simEnv(t, s))
			for _, alias := range []string{"pictures", "p$(" + canary + ")", "p`" + canary + "`", "p;" + canary, "p!!", "p m\u0430rketing"} {
				p.run("alias", "set", "--", alias, "quiet")
			}
			p.run("config", "set", "--profile", "work", "home", t.TempDir())
			for _, c := range []struct {
				typed, want string
				tabs        int
			}{
				{"vers-fleet ssh prod", "vers-fleet ssh prod", 3},
				{"vers-fleet ssh q", "vers-fleet ssh quiet ", 2},
				{"vers-fleet ssh tw", "vers-fleet ssh twin ", 1},
				{"vers-fleet alias remove p", "vers-fleet alias remove pictures ", 2},
				{"vers-fleet ssh m\u00fc", "vers-fleet ssh m\u00fcller ", 1},
				{"vers-fleet st", "vers-fleet status ", 2},
				{"vers-fleet --output=j", "vers-fleet --output=json", 1},
				{"vers-fleet --profile w", "vers-fleet --profile work ", 2},
				{"vers-fleet alias remove ", "vers-fleet alias remove pictures ", 1},
			} {
				if got := p.tab(c.typed, c.tabs); got != c.want {
					t.Errorf("%q and Tab: %q, want %q", c.typed, got, c.want)
				}
			}
		})
	}
}

// What a person has typed is not run by Tab either, and words after it complete.
// (Tab of zsh, unless bound to complete-word, itself expands the word at the
// cursor: `true $(date)` and Tab runs date.)
func TestTabDoesNotRunWhatIsTyped(t *testing.T) {
	long(t)
	t.Parallel()
	s := hostilePlatform(t)
	for name, sh := range tabShells() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "zsh" {
				sh.rc += "bindkey '^I' complete-word\n"
			}
			p := sitAtShell(t, sh, simEnv(t, s))
			for _, typed := range []string{
				"$(" + canary + ")", "`" + canary + "`", `"$(` + canary + `)"`, "x$(" + canary + ")", "$((x[$(" + canary + ")]))", "${x[$(" + canary + ")]}", "${x:-$(" + canary + ")}",
				"(" + canary + ")", "=(" + canary + ")", "<(" + canary + ")", `\$\(touch\ HERE\)`, `'$(touch HERE)'`, `"\$(touch HERE)"`, `$'\x24(touch HERE)'`, "--jq=$(" + canary + ")",
				"; " + canary + ";", "&& " + canary + " &&", "| " + canary + " |", "'; " + canary, `"; ` + canary, `$(` + canary, "`" + canary, "-o `" + canary + "`", "~$(" + canary + ")/",
			} {
				p.tab("vers-fleet ssh "+typed, 1)
				p.tab("vers-fleet ssh "+typed+" qu", 1)
				p.tab("vers-fleet push "+typed+"/h", 1) // names of files here
			}
			for typed, want := range map[string]string{
				`vers-fleet push '$(touch HERE)' qu`:   `vers-fleet push '$(touch HERE)' quiet `,
				`vers-fleet push \$\(touch\ HERE\) qu`: `vers-fleet push \$\(touch\ HERE\) quiet `,
			} {
				if got := p.tab(typed, 1); got != want {
					t.Errorf("%q and Tab: %q, want %q", typed, got, want)
				}
			}
		})
	}
}

// However bash is told to complete, a word is all that it inserts: what is said
// about one is the word of whoever made the VM.
func TestTabInBashInsertsWordsOnly(t *testing.T) {
	t.Parallel()
	s := hostilePlatform(t)
	for i, role := range []string{"$(" + canary + ")", "$(" + canary + ")", "`" + canary + "`"} {
		s.VMs()[50+i].SetLabels(map[string]string{"name": fmt.Sprintf("run-%d", i), "role": role})
	}
	sh := tabShells()["bash"]
	sh.rc += `bind 'set show-all-if-ambiguous on'
bind 'set completion-ignore-case on'
bind '"\C-xm": menu-complete'
bind '"\C-xa": insert-completions'
`
	p := sitAtShell(t, sh, simEnv(t, s))
	for _, c := range []struct{ keys, want string }{
		{"\t", "vers-fleet ssh run-"},
		{"\t\t\t", "vers-fleet ssh run-"},
		{"\x18m", "vers-fleet ssh run-0 "},
		{"\x18m\x18m", "vers-fleet ssh run-1 "},
		{"\x18a", "vers-fleet ssh run-0 run-1 run-2 "},
	} {
		p.types("\x01\x0bvers-fleet ssh r" + c.keys)
		if got := p.now(); got != c.want {
			t.Errorf("%q: %q, want %q", c.keys, got, c.want)
		}
		p.ran(fmt.Sprintf("%q", c.keys))
	}
	p.sees("(running `" + canary + "`)") // the list says what there is to say
}

// Paths on a VM are completed whatever they hold that shows; each shell is left
// with a line that means exactly the path, at every step.
func TestTabQuotesRemotePaths(t *testing.T) {
	long(t)
	t.Parallel()
	s := simtest.Start(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD, SSHD: sshd.Options{Shared: true}})
	vm := s.VM("marketing")
	server, err := vm.OpenSSH()
	if err != nil {
		simtest.Missing(t, err)
		t.Fatal(err)
	}
	folder := func(i int) string { return fmt.Sprintf("t/%d/", i) }
	for i, n := range hostileNames() {
		for _, end := range []string{"1", "2"} {
			write(t, filepath.Join(server.HomeDir, folder(i))+"/"+n+end, "")
		}
	}
	for name, sh := range tabShells() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sitAtShell(t, sh, simEnv(t, s))
			for i, n := range hostileNames() {
				typed, path := "vers-fleet pull marketing:"+folder(i), "marketing:"+folder(i)+n
				if safe.Clean(n) != n {
					if got := p.tab(typed, 2); got != typed {
						t.Errorf("%q is offered: %q", n, got)
					}
					continue
				}
				line := p.tabUntil(typed) // what the two have in common
				if got := p.means(line); !slices.Equal(got, []string{"pull", path}) {
					t.Errorf("%q after a Tab: %q, which means %q", n, line, got)
				}
				p.types("1")
				line = p.tabUntil(line + "1")
				if got := p.means(line); !slices.Equal(got, []string{"pull", path + "1"}) {
					t.Errorf("%q1 after a Tab: %q, which means %q", n, line, got)
				}
			}
		})
	}
}

// tabUntil presses Tab until the line, which is this now, changes: a busy machine
// may miss the deadline of a press of Tab.
func (p *typist) tabUntil(line string) string {
	p.t.Helper()
	if p.now() != line {
		p.types("\x01\x0b" + line)
	}
	for range 100 {
		p.types("\t")
		if now := p.now(); now != line {
			p.ran("Tab after " + line)
			return now
		}
	}
	p.t.Errorf("Tab after %q does nothing", line)
	return line
}
