package cmd

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

const picture = "../docs/outage.svg"

// docs/outage.svg, which the README shows, is what the program says in an outage,
// in its colours; only times and the folder are those of the story.
//
//	UPDATE_SCRIPTS=1 go test ./cmd -run TestPicture
//
// draws it anew.
func TestPicture(t *testing.T) {
	screen := outageScreen(t)
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		write(t, picture, svg(screen))
	}
	drawn, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := words(string(drawn)), words(svg(screen)); got != want {
		t.Errorf("docs/outage.svg shows\n%s\nbut the program says\n%s\nrun: UPDATE_SCRIPTS=1 go test ./cmd -run TestPicture", got, want)
	}
}

// outageScreen is the screen of somebody who rescues work during an outage.
func outageScreen(t *testing.T) string {
	t.Helper()
	s, err := sim.Start(context.Background(), sim.Config{Seed: 1, Still: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	env := append(simEnv(t, s), "TZ=UTC")
	if err := s.SetFault(sim.Fault{Kind: "503"}); err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("/tmp/vf-%07d", os.Getpid()) // as long as the name it gets in the picture
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	queue := exec.Command("vers-fleet", "commit", "marketing", "--queue")
	queue.Dir, queue.Env = dir, env
	_ = queue.Run() // 75: it waits
	var screen strings.Builder
	for _, args := range []string{"pull marketing", "status"} {
		p := &person{t: t, cmd: exec.Command("vers-fleet", append(strings.Fields(args), "--no-progress")...)}
		p.cmd.Dir = dir
		for _, kv := range env {
			if kv != "NO_COLOR=1" {
				p.cmd.Env = append(p.cmd.Env, kv)
			}
		}
		p.sit(&pty.Winsize{Rows: 24, Cols: 80})
		p.exits(exitOK)
		fmt.Fprintf(&screen, "\x1b[1m$ vers-fleet %s\x1b[0m\n%s\n", args, p.shown())
	}
	for was, is := range map[string]string{
		dir: "/home/me/rescue", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`: "2026-02-24T03:20:11Z", `\d\d:\d\d UTC`: "03:20 UTC", `\(\d+ seconds?\)`: "(4 minutes)",
		`(Inventory: +)(just now|\d+ seconds? ago)`: "${1}5 minutes ago",
	} {
		re := regexp.MustCompile(was)
		text := re.ReplaceAllString(screen.String(), is)
		screen.Reset()
		screen.WriteString(text)
	}
	return strings.ReplaceAll(strings.TrimSpace(screen.String()), "\r", "")
}

// svg draws a screen of 80 columns; of escape sequences it knows colours.
func svg(screen string) string {
	const line, column, margin = 19, 8.43, 16
	lines := strings.Split(screen, "\n")
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" role="img">
<title>vers-fleet in an outage</title>
<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d6deeb;white-space:pre}
.c1{font-weight:bold;fill:#fff}.c2{fill:#8b98a9}.c31{fill:#ff7b72}.c32{fill:#7ee787}.c33{fill:#f2cc60}.c35{fill:#d2a8ff}.c36{fill:#76e3ea}</style>
<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>
`, 80*column+2*margin, len(lines)*line+2*margin)
	colour := regexp.MustCompile(`\x1b\[(\d+)m`)
	class := ""
	for i, l := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d" xml:space="preserve">`, margin, margin+14+i*line)
		codes := append(colour.FindAllStringSubmatch(l, -1), []string{"", class})
		for j, run := range colour.Split(l, -1) {
			if run != "" {
				fmt.Fprintf(&b, `<tspan class="%s">%s</tspan>`, class, html.EscapeString(run))
			}
			if class = "c" + codes[j][1]; j == len(codes)-1 {
				class = codes[j][1]
			}
		}
		b.WriteString("</text>\n")
	}
	return b.String() + "</svg>\n"
}

// words is what is written in a picture, without what differs from run to run.
func words(svg string) string {
	_, body, _ := strings.Cut(svg, "<text")
	body = regexp.MustCompile(`(<|^)[^<>]*>`).ReplaceAllString(body, " ")
	body = strings.Join(strings.Fields(body), " ")
	return regexp.MustCompile(`\d+ (second|minute)s?( ago)?|just now|[\d.]+ [KM]iB`).ReplaceAllString(body, "TIME")
}
