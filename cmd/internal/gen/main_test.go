package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// written generates everything into a folder of the test.
func written(t *testing.T) (manual string) {
	t.Helper()
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "docs", "man")
}

// Flags show as people type them, exit codes have their section, and each help
// topic has a page.
func TestManualPages(t *testing.T) {
	dir := written(t)
	for file, want := range map[string][]string{
		"vers-fleet-pull.1": {
			"\n\\fB\\-\\-all\\fR\nevery VM", "\n\\fB\\-l\\fR, \\fB\\-\\-label\\fR \\fIKEY=VALUE\\fR\n", "\\fB\\-\\-watch\\fR[=\\fIINTERVAL\\fR]\n",
			"\n.SH EXIT STATUS\n.TP\n.B 0\ndone", "\n.TP\n.B 130\n", "\nvers\\-fleet pull \\(aqmarketing:", "(default 256M)\n",
		},
		"vers-fleet-sim.1":         {".B vers\\-fleet sim [\\-\\- CMD...]", ".B vers\\-fleet sim COMMAND"},
		"vers-fleet.1":             {".SS In an outage\n", ".BR vers\\-fleet\\-status (1)\n", ".BR vers\\-fleet\\-outage (7)"},
		"vers-fleet-outage.7":      {`.TH "VERS-FLEET-OUTAGE" "7"`, ".B vers\\-fleet status\nis the API down"},
		"vers-fleet-exit-codes.7":  {".B 75\nnot done yet, safely queued\n"},
		"vers-fleet-environment.7": {".B pull.paths\n", "\n.br\nVERS_FLEET_PULL_PATHS; default"},
		"vers-fleet-json.7":        {"\n.EX\nvers\\-fleet vms \\-o json\n"},
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
		}
		for _, w := range want {
			if !strings.Contains(string(data), w) {
				t.Errorf("%s lacks %q", file, w)
			}
		}
		if strings.Contains(string(data), "=false]") || strings.Contains(string(data), "Exit codes:") {
			t.Errorf("%s shows flags or exit codes as they are in the program", file)
		}
	}
}

// What groff and mandoc warn of: pages have no date on purpose, and the length of
// a line of source is nobody's concern.
func TestManualPagesLint(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(written(t), "*.[17]"))
	if err != nil || len(pages) < 50 {
		t.Fatal(len(pages), err)
	}
	for tool, args := range map[string][]string{"mandoc": {"-T", "lint", "-W", "warning"}, "groff": {"-man", "-ww", "-K", "utf8", "-T", "utf8", "-z"}} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Errorf("CI must have %s: %v", tool, err)
			}
			continue
		}
		out, _ := exec.Command(tool, append(args, pages...)...).CombinedOutput() // its status says that there are warnings
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, `missing date, using ""`) {
				t.Error(tool, strings.TrimSpace(line))
			}
		}
	}
}
