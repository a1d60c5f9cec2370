package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
)

// TestMain lets the test binary be its own contestant, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == walkCommand || os.Args[1] == loginCommand) {
		if err := run(context.Background(), os.Args[1:], io.Discard, os.Stderr); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	m.Run()
}

func timesOf(seconds ...float64) []time.Duration {
	var d []time.Duration
	for _, s := range seconds {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}

func TestTableAndSummary(t *testing.T) {
	tab := &table{title: "Pull B", about: "files", entries: []*entry{
		{result: result{name: "scp", times: timesOf(0.3, 0.1, 0.2), factor: 100}},
		{result: result{name: "rsync -a", times: timesOf(4, 2), remote: timesOf(0.5, 0.3), factor: 1}},
		{result: result{name: "cp", times: timesOf(0.01), factor: 1, floor: true}},
		{result: result{name: "sftp -r", factor: 1, err: errors.New("no\nluck")}},
		{result: result{name: "vers-fleet pull", times: timesOf(1.5), factor: 1, ours: true}},
	}}
	text := tab.markdown()
	for _, want := range []string{
		"| scp | 20.0 | 10.0 - 30.0 | 6.67 | - | reckoned: 0.200 on a part, x100 |",
		"| rsync -a | 3.00 | 2.00 - 4.00 | 1.00 | 0.400 |  |",
		"| sftp -r | - | - | - | - | failed: no luck |",
		"| vers-fleet pull | 1.50 | 1.50 - 1.50 | 0.50 | - |  |",
		"| cp | 0.010 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	r := &rig{tables: []*table{tab}}
	if want := "| Pull B | 1.50 | 3.00 | 0.50 | rsync -a |"; !strings.Contains(r.summary(), want) {
		t.Errorf("no line %q in\n%s", want, r.summary())
	}
}

func TestRaceGoesOnWithoutTheFailing(t *testing.T) {
	command := func(words ...string) func(context.Context) (*exec.Cmd, error) {
		return func(context.Context) (*exec.Cmd, error) { return exec.Command(words[0], words[1:]...), nil }
	}
	entries := []*entry{
		{result: result{name: "good", factor: 1}, run: command("true")},
		{result: result{name: "bad", factor: 1}, run: command("sh", "-c", "echo why >&2; exit 3")},
		{result: result{name: "hangs", factor: 1}, run: command("sh", "-c", "sleep 1000; true")},
		{result: result{name: "wrong", factor: 1}, run: command("true"), after: func(int) error { return errors.New("differs") }},
	}
	r := &rig{o: options{limit: 3 * time.Second}, log: io.Discard}
	if err := r.race(t.Context(), 3, entries); err != nil {
		t.Fatal(err)
	}
	if len(entries[0].times) != 3 || entries[0].err != nil {
		t.Errorf("good: %d times, %v", len(entries[0].times), entries[0].err)
	}
	for i, want := range map[int]string{1: "why", 2: "given up", 3: "differs"} {
		if err := entries[i].err; err == nil || !strings.Contains(err.Error(), want) || len(entries[i].times) != 0 {
			t.Errorf("%s: %v", entries[i].name, err)
		}
	}
}

func TestArrivedSeesDifferences(t *testing.T) {
	m := newMaker(t.TempDir(), true)
	data, err := m.small("B", 3)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "B")
	if err := os.CopyFS(dir, os.DirFS(data.dir)); err != nil {
		t.Fatal(err)
	}
	if err := arrived(data.dir, dir, true); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "d000", "f00001.dat")
	if err := os.WriteFile(file, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	if arrived(data.dir, dir, true) == nil {
		t.Error("changed contents were not seen")
	}
	if err := os.Truncate(file, 5); err != nil {
		t.Fatal(err)
	}
	if arrived(data.dir, dir, false) == nil {
		t.Error("a short file was not seen")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if arrived(data.dir, dir, false) == nil {
		t.Error("a missing file was not seen")
	}
}

func TestMixedDataIsWhatItSays(t *testing.T) {
	data, err := newMaker(t.TempDir(), false).mixed("C", 100)
	if err != nil {
		t.Fatal(err)
	}
	if data.files != 100 || data.bytes < 7e6 || data.bytes > 14e6 {
		t.Errorf("%d files, %d bytes; about 100 KB per file wanted", data.files, data.bytes)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, args := range [][]string{{"-suite", "x"}, {"-data", "D"}, {"-rtt", "80"}, {"-runs", "0"}, {"stray"}, {"-nonsense"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestUnfairRunsAreSeen(t *testing.T) {
	s, err := newPlatform(t.Context(), t.TempDir(), 0)
	if err != nil {
		simtest.Missing(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	v, err := newVM(s, s.VM("marketing"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{o: options{limit: time.Minute}, log: io.Discard, vms: []*vm{v}}
	ssh := func(extra ...string) func(context.Context) (*exec.Cmd, error) {
		args := append(extra, "-F", "none", "-n", "-i", v.KeyFile, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
			"-o", "UserKnownHostsFile=/dev/null", "-l", v.User)
		return func(context.Context) (*exec.Cmd, error) {
			return exec.Command("ssh", append(args, "127.0.0.1", "true")...), nil
		}
	}
	_, port, _ := strings.Cut(v.Addr, ":")
	proxy := "openssl s_client -quiet -verify_quiet -servername " + v.ServerName + " -connect " + s.Gateway()
	around := &entry{result: result{name: "around", factor: 1}, run: ssh("-p", port)}
	through := &entry{result: result{name: "through", factor: 1}, run: ssh("-o", "ProxyCommand="+proxy)}
	warm := &entry{result: result{name: "warm", factor: 1, ours: true},
		run: func(context.Context) (*exec.Cmd, error) { return exec.Command("true"), nil }}
	if err := r.race(t.Context(), 1, []*entry{around, through, warm}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(around.err, errAround) || through.err != nil || !errors.Is(warm.err, errWarm) {
		t.Errorf("around: %v; through: %v; warm: %v", around.err, through.err, warm.err)
	}
}

func TestSmallRealRun(t *testing.T) {
	args := []string{
		"-quick", "-suite", "pull,push,fleet,login", "-data", "B", "-rtt", "2ms",
		"-only", "sequential,bare,tar | tar,tar | ssh", "-binary", "/nonexistent",
	}
	var out, log bytes.Buffer
	if err := run(t.Context(), args, &out, &log); err != nil {
		simtest.Missing(t, err)
		t.Fatalf("%v\n%s", err, log.String())
	}
	for _, want := range []string{"### Pull B, 2 ms", "### Push B, 2 ms", "| tar \\| ssh tar |", "| ssh tar", "sequential", "12 VMs at once, 2 ms", "of what the same bytes take from one VM", "| bare Go x/crypto/ssh |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "failed:") {
		t.Errorf("a contestant failed:\n%s\n%s", out.String(), log.String())
	}
}
