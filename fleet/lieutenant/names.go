package lieutenant

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lieutenant is one entry of lieutenants.json.
type Lieutenant struct {
	Name           string
	Role           string
	VMID           string // canonical UUID; "" if Local
	Local          bool   // runs on the operator's machine, not on a VM
	Status         string
	TaskCount      int
	CreatedAt      time.Time // zero if unknown
	LastActivityAt time.Time // zero if unknown
}

// LocalPrefix stands before the name in the vmId of a local lieutenant (platform.md).
const LocalPrefix = "local-"

// Alias is one entry of aliases.json.
type Alias struct {
	Name string
	VMID string // canonical UUID
}

// RegistryVM is one entry of the registry's list.
type RegistryVM struct {
	VMID     string // canonical UUID
	Name     string // "" if it has none
	Role     string // infra, lieutenant, worker, golden, custom, ...
	Status   string
	Address  string
	LastSeen time.Time // zero if unknown
}

// Problem is an entry that was left out, and why. Err is a *NameError where the name is to blame.
type Problem struct {
	Entry int // position, from 0
	Err   error
}

func (p Problem) Error() string { return fmt.Sprintf("entry %d: %v", p.Entry+1, p.Err) }
func (p Problem) Unwrap() error { return p.Err }

// Errors of entries.
var (
	ErrNotList  = errors.New("not a list of entries")
	ErrNoVM     = errors.New("no valid VM id")
	ErrNotEntry = errors.New("not an entry")
)

// NameError is a name that cannot be used on a command line without danger of confusion.
type NameError struct {
	Name   string // made harmless and shortened
	Reason string
}

func (e *NameError) Error() string { return fmt.Sprintf("name %q %s", e.Name, e.Reason) }

// Files lists where lieutenants.json may be, in the order in which the first that exists counts. versHome is the
// value of VERS_HOME, home the user's home directory; either may be empty.
func Files(home, versHome string) []string {
	const name = "lieutenants.json"
	var files []string
	if versHome != "" {
		files = append(files, filepath.Join(versHome, name))
	}
	if home != "" {
		for _, dir := range []string{filepath.Join(".pi", "vers"), ".pi", ".vers"} {
			files = append(files, filepath.Join(home, dir, name))
		}
	}
	return files
}

// AliasesFile is where the Vers CLI keeps aliases; "" without a home directory.
func AliasesFile(home string) string {
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".vers", "aliases.json")
}

// maxName is the longest name accepted, in characters. Names are typed and stand in columns.
const maxName = 100

// CheckName trims the spaces around a name and refuses, with a *NameError, what could be taken for something else: an
// option, a path, an id of a VM, "VM:PATH", or text that a terminal would not show as it is.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	reason := ""
	switch {
	case name == "":
		reason = "is empty"
	case !utf8.ValidString(name):
		reason = "is not valid UTF-8"
	case utf8.RuneCountInString(name) > maxName:
		reason = "is too long"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		reason = "contains characters that do not show"
	case strings.ContainsAny(name, `/\:`):
		reason = "contains / \\ or :"
	case name[0] == '-' || name[0] == '.':
		reason = "begins with - or ."
	default:
		if _, isID := vmID(name); isID {
			reason = "is a VM id"
		}
	}
	if reason != "" {
		return "", &NameError{Name: short(Sanitize(name)), Reason: reason}
	}
	return name, nil
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return s
}

// vmID returns the canonical form of a UUID.
func vmID(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) != 36 {
		return s, false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return s, false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return s, false
			}
		}
	}
	return s, true
}
