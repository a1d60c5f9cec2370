package listing

import "fmt"

// Tools is what the VM has, as the listing command found it.
type Tools struct {
	List string // find (GNU), stat (find and stat of another make), sftp
	Tar  string // gnu, plain, none
	Hash string // a command, or none
	Zstd bool
	Dd   bool
	// FullBlocks tells that dd reads full blocks from a pipe if it is asked to.
	FullBlocks bool
	tee        bool // and /dev/fd, so that one session can feed two tools
}

// Verified is the summary's word on verification.
func (t Tools) Verified() string {
	switch {
	case t.List == "sftp":
		return "none: the VM has only SFTP, which cannot hash"
	case t.Hash == "none":
		return "none: the VM has neither openssl nor sha256sum"
	}
	return "sha256"
}

// Method describes the way chosen.
func (t Tools) Method() string {
	if t.List == "sftp" {
		return "sftp (the VM's shell lacks find or xargs, or runs no commands)"
	}
	return fmt.Sprintf("list: %s, files: %s tar, ranges: %v, hash: %s, zstd: %v", t.List, t.Tar, t.Dd, t.Hash, t.Zstd)
}

// Combined tells whether one session can send contents and hashes.
func (t Tools) Combined() bool { return t.tee && t.Tar != "none" && t.CanHash() }

// CanHash tells whether the VM can hash files.
func (t Tools) CanHash() bool { return t.Hash != "none" && t.List != "sftp" }
