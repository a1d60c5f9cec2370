package dest

import (
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxPath = 4096 // bytes; PATH_MAX of Linux
	maxName = 255  // bytes; NAME_MAX of Linux
)

// NameError is a name or a symlink's target that may not be written.
type NameError struct {
	Name string // not cleaned for terminals
	Why  string
}

func (e *NameError) Error() string { return e.Why }

// CheckName tells why a name below DEST that a VM chose may not be used here, or
// "". Names have slashes, and none is DEST itself.
func CheckName(name string) string {
	switch {
	case name == "":
		return "an empty name"
	case len(name) > maxPath:
		return "the name is too long"
	case strings.HasPrefix(name, "/"):
		return "an absolute name"
	case strings.IndexByte(name, 0) >= 0:
		return "a NUL in the name"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			return "a name with an empty part"
		case part == "..":
			return "the name leads out of its folder"
		case len(part) > maxName:
			return "a part of the name is too long"
		}
	}
	if strings.HasPrefix(name, PartialPrefix) {
		return "the name is reserved for unfinished transfers"
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) || (runtime.GOOS == "windows" && strings.ContainsAny(name, `\:*?"<>|`)) {
		return "the name cannot be used on this system"
	}
	return ""
}

// BadTarget tells why no symlink can have such a target at all, or "".
func BadTarget(target string) string {
	switch {
	case target == "":
		return "a symlink without a target"
	case len(target) > maxPath:
		return "the symlink's target is too long"
	case strings.IndexByte(target, 0) >= 0:
		return "a NUL in the symlink's target"
	}
	return ""
}

// LeadsOut tells how the target of a symlink at rel (below Dest) leads out of
// Dest, or "". A target stays inside if it climbs first and at most to Dest, and then
// only descends: every link on the way is of the same kind, so by induction
// none leads out. (A ".." after a name could climb from wherever a link of that
// name leads.)
func LeadsOut(rel, target string) string {
	if strings.HasPrefix(target, "/") || filepath.IsAbs(filepath.FromSlash(target)) {
		return "the symlink leads out of the destination (absolute target)"
	}
	depth := strings.Count(path.Clean(rel), "/")
	down := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
			if down || depth < 0 {
				return "the symlink leads out of the destination"
			}
		default:
			down = true
		}
	}
	return ""
}

// foldName is the form under which a file system that ignores case and Unicode
// form keeps a name.
func foldName(name string) string {
	return cases.Fold().String(norm.NFC.String(name))
}
