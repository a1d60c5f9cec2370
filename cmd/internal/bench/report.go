package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// table is one comparison.
type table struct {
	title, about string
	entries      []*entry
}

// fastestPeer returns the best median among the peers; infinite if none ran.
func (t *table) fastestPeer() (string, float64) {
	return t.fastest(func(e *entry) bool { return !e.ours && !e.floor })
}

// fastest returns the best median among those that count.
func (t *table) fastest(counts func(*entry) bool) (string, float64) {
	name, best := "", math.Inf(1)
	for _, e := range t.entries {
		if counts(e) && e.err == nil && len(e.times) > 0 && e.median() < best {
			name, best = e.name, e.median()
		}
	}
	return name, best
}

func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n\n", t.title, t.about)
	b.WriteString("| way | median, s | min - max | of the fastest peer | VM's CPU, s | note |\n|---|---:|---:|---:|---:|---|\n")
	_, best := t.fastestPeer()
	for _, e := range t.entries {
		if e.err != nil {
			fmt.Fprintf(&b, "| %s | - | - | - | - | failed: %s |\n", cell(e.name), cell(e.err.Error()))
			continue
		}
		s := e.scaled()
		fmt.Fprintf(&b, "| %s | %s | %s - %s | %s | %s | %s |\n", cell(e.name), seconds(e.median()),
			seconds(s[0]), seconds(s[len(s)-1]), ratio(e.median(), best), e.remoteCPU(), note(e))
	}
	return b.String()
}

// cell makes text fit into one cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("\n", " ", "|", "\\|").Replace(text)
}

func note(e *entry) string {
	switch {
	case e.factor > 1:
		return fmt.Sprintf("reckoned: %s on a part, x%.4g", seconds(e.median()/e.factor), e.factor)
	case e.floor:
		return "a bound, not a peer"
	}
	return ""
}

func ratio(value, best float64) string {
	if math.IsInf(best, 1) {
		return "-"
	}
	return fmt.Sprintf("%.2f", value/best)
}

// seconds keeps three significant figures, or two of what is a few milliseconds.
func seconds(s float64) string {
	switch {
	case s < 0.01:
		return fmt.Sprintf("%.4f", s)
	case s >= 100:
		return fmt.Sprintf("%.0f", s)
	case s >= 10:
		return fmt.Sprintf("%.1f", s)
	case s >= 1:
		return fmt.Sprintf("%.2f", s)
	}
	return fmt.Sprintf("%.3f", s)
}

// summary sets vers-fleet against the fastest peer of each table.
func (r *rig) summary() string {
	var b strings.Builder
	b.WriteString("### vers-fleet and its fastest peer\n\n| measured | vers-fleet, s | fastest peer, s | ratio | peer |\n|---|---:|---:|---:|---|\n")
	rows := 0
	for _, t := range r.tables {
		peer, best := t.fastestPeer()
		for _, e := range t.entries {
			if !e.ours || e.err != nil || math.IsInf(best, 1) {
				continue
			}
			rows++
			what := t.title
			if e.name != "vers-fleet pull" && e.name != "vers-fleet push" {
				what += ": " + e.name
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", what, seconds(e.median()), seconds(best), ratio(e.median(), best), cell(peer))
		}
	}
	if rows == 0 {
		return "vers-fleet and a peer were never measured side by side."
	}
	return b.String()
}

// preamble says what was measured where, and how busy the machine was.
func preamble(o options, r *rig) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s/%s, %d cores, %s; %s. Median of %d rounds (logins, starts and lists: %d), contestants in turns.",
		time.Now().UTC().Format(time.RFC3339), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		opensshVersion(), o.runs, o.logins)
	if o.cipher != "" {
		fmt.Fprintf(&b, " Cipher of the OpenSSH tools: %s.", o.cipher)
	}
	if o.rate > 0 {
		fmt.Fprintf(&b, " Link at a distance: %d bytes/s.", o.rate)
	}
	if o.bashrc > 0 {
		fmt.Fprintf(&b, " Each session pays %v for its .bashrc.", o.bashrc)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Fprintf(&b, " Load average at the start: %s.", strings.Join(strings.Fields(string(load))[:3], " "))
	}
	if o.quick {
		b.WriteString(" **Quick run on small data: says that things work, not how fast they are.**")
	}
	if r.noBin != nil {
		fmt.Fprintf(&b, " vers-fleet was left out: %s.", lastLine(r.noBin.Error()))
	}
	b.WriteString("\n")
	return b.String()
}

func opensshVersion() string {
	out, err := exec.Command("ssh", "-V").CombinedOutput()
	if err != nil {
		return "no OpenSSH"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), ",")
	return version
}
