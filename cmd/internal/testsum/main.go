// Command testsum reads the output of `go test -json` and prints what a person
// needs: the closing line of each package, everything a failed test said, which
// tests were left out and why, and which took longest.
//
//	go test -json ./... | go run ./cmd/internal/testsum [-alone FILE]
//
// FILE then has the failed tests that are worth running again alone, one
// "package test" a line. It stays empty when a failure is none that chance or
// a busy machine explains: a data race, a panic, a build that fails, or many.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"io"
	"log"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// slowest is how many of the slow tests are named.
const slowest = 10

// few is how many failed tests may be put down to chance.
const few = 3

// event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

type testName struct{ pkg, test string }

// summary is what is known so far.
type summary struct {
	said           map[testName]*strings.Builder
	took           map[testName]float64
	left           []string
	passed, failed int
	failures       []testName // whole tests and packages
	grave          bool       // something failed that running it again would only hide
	printf         func(string, ...any)
}

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	alone := flag.String("alone", "", "write what is worth running again alone to `FILE`")
	flag.Parse()
	s := summarise(os.Stdin, log.Printf)
	if *alone != "" {
		if err := os.WriteFile(*alone, []byte(s.worthAnother()), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	if s.failed > 0 {
		os.Exit(1)
	}
}

// summarise reads the events and prints the summary.
func summarise(r io.Reader, printf func(string, ...any)) *summary {
	s := &summary{said: map[testName]*strings.Builder{}, took: map[testName]float64{}, printf: printf}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			printf("%s", lines.Text()) // the go command itself speaks
			continue
		}
		s.add(e)
	}
	printf("\n%d tests passed, %d left out, %d failures", s.passed, len(s.left), s.failed)
	for _, l := range s.left {
		printf("  left out: %s", l)
	}
	s.printSlowest()
	return s
}

// worthAnother names the tests to run again alone, a line each.
func (s *summary) worthAnother() string {
	var tests strings.Builder
	packages := map[string]bool{} // that failed, and whether one of their tests did
	n := 0
	for _, f := range s.failures {
		packages[f.pkg] = packages[f.pkg] || f.test != ""
		if f.test != "" {
			n++
			tests.WriteString(f.pkg + " " + f.test + "\n")
		}
	}
	for _, explained := range packages {
		s.grave = s.grave || !explained
	}
	if s.grave || n > few {
		return ""
	}
	return tests.String()
}

func (s *summary) add(e event) {
	name := testName{e.Package, e.Test}
	if s.said[name] == nil {
		s.said[name] = new(strings.Builder)
	}
	switch e.Action {
	case "output":
		s.said[name].WriteString(e.Output)
	case "build-output":
		s.printf("%s", strings.TrimRight(e.Output, "\n"))
	case "build-fail":
		s.failed++
		s.grave = true
	case "pass", "fail", "skip":
		text := s.said[name].String()
		delete(s.said, name)
		s.end(e, name, text)
	}
}

// end notes how a test, or a whole package, ended.
func (s *summary) end(e event, name testName, text string) {
	if e.Action == "fail" {
		s.failed++
		s.grave = s.grave || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic: ")
		if !strings.Contains(e.Test, "/") {
			s.failures = append(s.failures, name)
		}
	}
	switch {
	case e.Test == "":
		closing(e.Action, text, s.printf)
		return
	case e.Action == "pass":
		s.passed++
	case e.Action == "skip":
		s.left = append(s.left, e.Package+" "+e.Test+": "+reason(text))
	default:
		s.printf("%s", strings.TrimRight(text, "\n"))
	}
	s.took[name] = e.Elapsed
}

// printSlowest names the tests that took longest, not the ones around them.
func (s *summary) printSlowest() {
	for name := range s.took {
		for around := path.Dir(name.test); around != "."; around = path.Dir(around) {
			delete(s.took, testName{name.pkg, around})
		}
	}
	tests := slices.SortedFunc(maps.Keys(s.took), func(a, b testName) int { return cmp.Compare(s.took[b], s.took[a]) })
	for _, name := range tests[:min(slowest, len(tests))] {
		if s.took[name] >= 1 {
			s.printf("  slow: %.1f s %s %s", s.took[name], name.pkg, name.test)
		}
	}
}

// closing prints a package's last line, or all it said when it failed: that
// may be a panic or a build error.
func closing(action, text string, printf func(string, ...any)) {
	text = strings.TrimRight(text, "\n")
	if action == "fail" {
		printf("%s", text)
		return
	}
	lines := strings.Split(text, "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "[no test files]") {
		printf("%s", last)
	}
}

// reason is what the test said when it left itself out.
func reason(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			out = append(out, line)
		}
	}
	return strings.Join(out, " ")
}
