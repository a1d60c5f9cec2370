package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

// Kind says what is wrong with the store or a file in it.
type Kind string

// The kinds an Error has.
const (
	KindTooOpen      Kind = "too_open"      // group or others have access
	KindForeignOwner Kind = "foreign_owner" // a file belongs to another user
	KindSymlink      Kind = "symlink"       // a symbolic link or other special file in place of a file or folder
	KindDamaged      Kind = "damaged"       // content is not what was written
	KindNewerVersion Kind = "newer_version" // written by a newer version; read, never rewritten
	KindFull         Kind = "full"          // disk full or quota used up
	KindReadOnly     Kind = "read_only"     // read-only file system or no permission to write
	KindIO           Kind = "io"            // any other failure of the file system
	KindLocked       Kind = "locked"        // another process holds the lock
	KindNotFound     Kind = "not_found"     // nothing recorded
	KindSealed       Kind = "sealed"        // encrypted, and nothing at hand decrypts it
	KindInvalid      Kind = "invalid"       // the caller's argument or the input is malformed
	KindMismatch     Kind = "mismatch"      // the profile belongs to another endpoint or account
)

// Error is the error type of this package. No field ever holds a secret.
type Error struct {
	Kind Kind
	Op   string // what was tried, e.g. "read key"
	Path string // file or folder, if there is one
	Why  string // more, one line; may be empty
	Next string // a command that can be pasted, or ""
	Err  error  // cause, may be nil
}

// Error renders one line, without Next.
func (e *Error) Error() string {
	text := e.Op
	if e.Path != "" {
		text += " " + e.Path
	}
	switch {
	case e.Why != "":
		text += ": " + e.Why
	case e.Err != nil:
		text += ": " + cause(e.Err).Error()
	default:
		text += ": " + string(e.Kind)
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain, "" if none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// IsNotFound tells whether err says that nothing is recorded.
func IsNotFound(err error) bool { return KindOf(err) == KindNotFound }

// cause strips the operation and path that *fs.PathError repeats.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// ioError wraps a failure of the file system; an *Error passes unchanged.
func ioError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := &Error{Kind: KindIO, Op: op, Path: path, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Kind, e.Next = KindFull, "df -h "+safe.Word(path)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		e.Kind = KindReadOnly
	case errors.Is(err, fs.ErrNotExist) && !writes(op):
		e.Kind = KindNotFound
	}
	return e
}

// writes tells whether op makes something: that a folder for it is missing says
// nothing about what is recorded.
func writes(op string) bool {
	return slices.Contains([]string{"write", "create folder", "sync", "lock", "set aside", "encrypt", "export keys"}, op)
}

func invalid(op, format string, args ...any) error {
	return &Error{Kind: KindInvalid, Op: op, Why: fmt.Sprintf(format, args...)}
}

func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }
