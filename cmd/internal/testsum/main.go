// Command testsum reads the output of `go test -json` and prints what a person
// needs: the closing line of each package, everything a failed test said, and
// which tests were left out and why.
//
//	go test -json ./... | go run ./cmd/internal/testsum
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"strings"
)

// event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

type testName struct{ pkg, test string }

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	if failed := summarise(os.Stdin, log.Printf); failed > 0 {
		os.Exit(1)
	}
}

// summarise returns how many tests or packages failed.
func summarise(r io.Reader, printf func(string, ...any)) (failed int) {
	said := map[testName]*strings.Builder{}
	var left []string
	passed := 0
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			printf("%s", lines.Text()) // the go command itself speaks
			continue
		}
		name := testName{e.Package, e.Test}
		if said[name] == nil {
			said[name] = new(strings.Builder)
		}
		switch e.Action {
		case "output":
			said[name].WriteString(e.Output)
		case "build-output":
			printf("%s", strings.TrimRight(e.Output, "\n"))
		case "build-fail":
			failed++
		case "pass", "fail", "skip":
			text := said[name].String()
			delete(said, name)
			switch {
			case e.Test == "":
				closing(e.Action, text, printf)
				if e.Action == "fail" {
					failed++
				}
			case e.Action == "pass":
				passed++
			case e.Action == "skip":
				left = append(left, e.Package+" "+e.Test+": "+reason(text))
			default:
				failed++
				printf("%s", strings.TrimRight(text, "\n"))
			}
		}
	}
	printf("\n%d tests passed, %d left out, %d failures", passed, len(left), failed)
	for _, l := range left {
		printf("  left out: %s", l)
	}
	return failed
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
