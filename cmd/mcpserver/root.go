package mcpserver

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// wholeFolder is where, below the root, answers lie that were too long; the last
// mostWhole of them stay.
const (
	wholeFolder = "mcp-answers"
	mostWhole   = 100
)

// keepWhole writes all of what was cut into a file below the root. An answer that
// cannot be kept says so by having none.
func (s *Server) keepWhole(sp spec, a map[string]any, whole any) {
	if s.o.Root == "" || s.o.ReadOnly {
		return
	}
	text, ok := whole.(string)
	name := fmt.Sprintf("%s-%d.txt", sp.name, time.Now().UnixNano())
	if !ok {
		data, err := json.MarshalIndent(whole, "", "  ")
		if err != nil {
			return
		}
		text, name = string(data)+"\n", strings.TrimSuffix(name, ".txt")+".json"
	}
	root, _, err := s.inRoot(wholeFolder)
	if err != nil {
		return
	}
	defer root.Close()
	if err := root.WriteFile(filepath.Join(wholeFolder, name), []byte(text), 0o600); err == nil {
		a["file"] = filepath.Join(s.o.Root, wholeFolder, name)
	}
	prune(root)
}

// prune removes the oldest answers.
func prune(root *os.Root) {
	list, err := fs.ReadDir(root.FS(), wholeFolder)
	if err != nil {
		return
	}
	at := func(e fs.DirEntry) string { return e.Name()[strings.LastIndexByte(e.Name(), '-')+1:] }
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return cmp.Compare(at(a), at(b)) })
	for _, e := range list[:max(0, len(list)-mostWhole)] {
		_ = root.Remove(filepath.Join(wholeFolder, e.Name())) // it goes next time
	}
}

// inRoot makes a folder below the root, and returns the root, which the caller
// closes, and the folder's path. No link leads out of it: os.Root refuses.
func (s *Server) inRoot(folder string) (*os.Root, string, error) {
	if err := os.MkdirAll(s.o.Root, 0o700); err != nil {
		return nil, "", s.outside(folder, err)
	}
	root, err := os.OpenRoot(s.o.Root)
	if err != nil {
		return nil, "", s.outside(folder, err)
	}
	if err := root.MkdirAll(folder, 0o700); err != nil {
		return nil, "", cmp.Or(s.outside(folder, err), root.Close())
	}
	return root, filepath.Join(s.o.Root, folder), nil
}

// folder is inRoot for who writes there by other means.
func (s *Server) folder(folder string) (string, error) {
	root, path, err := s.inRoot(folder)
	if err == nil {
		err = root.Close()
	}
	return path, err
}

// below is where a folder below the root is, or would be. It makes none.
func (s *Server) below(folder string) (string, error) {
	path := filepath.Join(s.o.Root, folder)
	root, err := os.OpenRoot(s.o.Root)
	if err == nil {
		defer root.Close()
		_, err = root.Stat(folder)
	}
	if errors.Is(err, fs.ErrNotExist) && filepath.IsLocal(folder) {
		err = nil
	}
	if err != nil {
		return "", s.outside(folder, err)
	}
	return path, nil
}

func (s *Server) outside(folder string, err error) error {
	why := problem.Cause(err)
	if !filepath.IsLocal(folder) {
		why = "it lies outside the root"
	}
	return &problem.Error{Kind: problem.Usage, What: "cannot use " + safe.Line(folder), Why: why, Origin: problem.OriginLocal, Err: err,
		Next: "name a folder below the root, " + s.o.Root + ", by its path from there"}
}
