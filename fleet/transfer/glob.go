package transfer

import (
	"bufio"
	"context"
	"io"
	"path"
	"strings"

	"github.com/pkg/sftp"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/listing"
	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// maxGlob bounds what is believed of an answer to globCmd, bytes.
const maxGlob = 16 << 20

// isGlob tells whether a path asked for may be a pattern.
func isGlob(r *listing.Root) bool { return strings.ContainsAny(r.Remote, "*?[") }

// expand asks the VM's shell what matches the patterns among the roots. What
// matches nothing, and what is there under that very name, stays as it is.
func expand(ctx context.Context, c *session.Conn, roots []*listing.Root) ([]*listing.Root, error) {
	var patterns []string
	for _, r := range roots {
		if isGlob(r) {
			patterns = append(patterns, r.Remote)
		}
	}
	if len(patterns) == 0 {
		return roots, nil
	}
	s := c.Start(ctx, globCmd)
	defer s.Stop()
	s.Items(patterns...)
	if err := s.Ready(); err != nil {
		return roots, err
	}
	in := bufio.NewReader(io.LimitReader(s.Out, maxGlob))
	return replaceGlobs(roots, func(string) (names []string, err error) {
		for {
			name, err := in.ReadString(0)
			if err != nil {
				return nil, s.Failure(err)
			}
			if name == "\x00" {
				return names, nil
			}
			names = append(names, strings.TrimSuffix(name, "\x00"))
		}
	})
}

// expandBySFTP is expand on a VM that runs no commands.
func expandBySFTP(client *sftp.Client, roots []*listing.Root) ([]*listing.Root, error) {
	return replaceGlobs(roots, func(pattern string) ([]string, error) {
		if _, err := client.Lstat(pattern); err == nil {
			return []string{pattern}, nil
		}
		names, err := client.Glob(pattern)
		if err != nil && !isStatus(err) {
			return nil, err
		}
		if strings.HasPrefix(pattern, "./") { // which Glob cleans away
			for i := range names {
				names[i] = "./" + names[i]
			}
		}
		return names, nil
	})
}

// replaceGlobs puts what matches in the place of each pattern.
func replaceGlobs(roots []*listing.Root, matches func(pattern string) ([]string, error)) ([]*listing.Root, error) {
	var out []*listing.Root
	for _, r := range roots {
		if !isGlob(r) {
			out = append(out, r)
			continue
		}
		names, err := matches(r.Remote)
		if err != nil {
			return roots, err
		}
		before := len(out)
		for _, name := range names {
			if !answers(r.Remote, name) {
				continue
			}
			found := &listing.Root{Asked: r.Asked, Remote: name}
			if r.Land != "" {
				found.Land = path.Base(name)
			}
			out = append(out, found)
		}
		if len(out) == before {
			out = append(out, r)
		}
	}
	return out, nil
}

// answers tells whether a name can be what a pattern matches: the VM says so,
// and it is to become a name here. As in a shell, only a pattern that begins
// with a point matches a hidden name.
func answers(pattern, name string) bool {
	wanted, got := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(wanted) != len(got) || dest.CheckName(got[len(got)-1]) != "" {
		return false
	}
	for i, part := range wanted {
		plain, _, glob := strings.Cut(strings.NewReplacer("?", "*", "[", "*", `\`, "*").Replace(part), "*")
		switch {
		case !glob && got[i] != part,
			!strings.HasPrefix(got[i], plain),
			glob && strings.HasPrefix(got[i], ".") && !strings.HasPrefix(part, "."),
			glob && (got[i] == ".." || got[i] == "." || got[i] == ""):
			return false
		}
	}
	return true
}
