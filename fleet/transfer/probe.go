package transfer

import "fmt"

// tools is what the VM has, as the listing command found it.
type tools struct {
	list string // find (GNU), stat (find and stat of another make), sftp
	tar  string // gnu, plain, none
	hash string // a command, or none
	zstd bool
	dd   bool
	tee  bool // and /dev/fd, so that one session can feed two tools
}

// verified is the summary's word on verification.
func (t tools) verified() string {
	switch {
	case t.list == "sftp":
		return "none: the VM has only SFTP, which cannot hash"
	case t.hash == "none":
		return "none: the VM has neither openssl nor sha256sum"
	}
	return "sha256"
}

// method describes the way chosen.
func (t tools) method() string {
	if t.list == "sftp" {
		return "sftp (the VM's shell lacks find or xargs, or runs no commands)"
	}
	return fmt.Sprintf("list: %s, files: %s tar, ranges: %v, hash: %s, zstd: %v", t.list, t.tar, t.dd, t.hash, t.zstd)
}

// combined tells whether one session can send contents and hashes.
func (t tools) combined() bool { return t.tee && t.tar != "none" && t.canHash() }

func (t tools) canHash() bool { return t.hash != "none" && t.list != "sftp" }
