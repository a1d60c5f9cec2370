package cmd

import (
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// A bundle without end fills no memory: who wrote it is not known.
func TestBundleWithoutEnd(t *testing.T) {
	if got, err := readBundle(strings.NewReader("bundle"), 6); err != nil || string(got) != "bundle" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := readBundle(withoutEnd{}, 1<<20)
	if problem.KindOf(err) != problem.Usage || !strings.Contains(err.Error(), "it has more than 1.0 MiB") {
		t.Error(err)
	}
}

type withoutEnd struct{}

func (withoutEnd) Read(p []byte) (int, error) { return len(p), nil }
