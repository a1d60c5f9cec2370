package transfer

import (
	"errors"
	"io/fs"
	"strings"
)

// Why a VM cannot write, where that is known: what a ToolError or a FileError of a
// push matches.
var (
	ErrVMFull     = errors.New("the VM has no room for it")
	ErrVMReadOnly = errors.New("the file system of the VM is read-only there")
	ErrVMDenied   = errors.New("the login may not write there on the VM")
)

// setWhy defines w, which sets w to the letter for the reason in e, what a tool said
// (in the C locale): whyOf knows them. The last that it said counts.
const setWhy = `w=F; w() { case ${e##*: } in "No space left"*|"Disk quota"*|"File too large"*) w=N;; Read-only*) w=R;; ` +
	`"Permission denied"*|"Operation not permitted"*) w=P;; *) w=F;; esac; }; `

// whyOf is the reason that a script gave, nil if it knew none.
func whyOf(letter byte) error {
	switch letter {
	case 'N':
		return ErrVMFull
	case 'R':
		return ErrVMReadOnly
	case 'P':
		return ErrVMDenied
	}
	return nil
}

// whyIn finds the reason in what a tool of the VM said, or in what SFTP answered.
func whyIn(said string, err error) error {
	has := func(some ...string) bool {
		for _, s := range some {
			if strings.Contains(said, s) {
				return true
			}
		}
		return false
	}
	switch said = strings.ToLower(said); {
	case has("no space left", "disk quota exceeded", "file too large", "wrote only"): // the last is GNU tar's
		return ErrVMFull
	case has("read-only file system"):
		return ErrVMReadOnly
	case has("permission denied", "operation not permitted") || errors.Is(err, fs.ErrPermission):
		return ErrVMDenied
	}
	return nil
}

// because ends a sentence about what the VM does not do with the reason, if there is
// one.
func because(what string, why error) string {
	if why == nil {
		return what
	}
	return what + ": " + why.Error()
}
