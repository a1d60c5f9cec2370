package cmd

import (
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
)

// The list of a transfer says what was done, and of a dry run what would be.
func TestTransferListing(t *testing.T) {
	for want, verb := range map[string]transferVerb{
		"VM FETCHED SIZE VERIFIED INTO": fetching(false),
		"VM WOULD FETCH SIZE INTO":      fetching(true),
		"VM SENT SIZE VERIFIED INTO":    sending(false),
		"VM WOULD SEND SIZE INTO":       sending(true),
	} {
		s, out := ui.Fake(true, 120)
		s.Configure(ui.Rules{NoColor: true})
		r := remote.PullResult{VMName: "a", Files: 1, Bytes: 1, DryRun: verb.dry, Dest: "./x"}
		if !verb.dry {
			r.Verified = "sha256"
		}
		f, err := ui.ParseFormat("", "", "")
		if err == nil {
			err = transferListing(verb).Print(s, f, []remote.PullResult{r})
		}
		head, _, _ := strings.Cut(out.Out.String(), "\n")
		if got := strings.Join(strings.Fields(head), " "); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

// A file that goes to a terminal cannot act on it, however it comes in pieces.
func TestFileOnTerminal(t *testing.T) {
	var out strings.Builder
	w := &cleanWriter{w: &out}
	for _, piece := range []string{"é\nab\xc3", "\xa9\x1b", "]0;evil\a\n", "end"} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "é\nabé") || !strings.HasSuffix(got, "\nend") || strings.ContainsAny(got, "\x1b\a") {
		t.Errorf("%q", got)
	}
}
