package transfer

import "errors"

const (
	// maxFile bounds the size that a file may claim to have, bytes (ext4's own
	// limit with 4 KiB blocks).
	maxFile = 16 << 40
	// slack is how much more than listed a sparse file may hold, bytes.
	sparseSlack = 16 << 20
)

// errTooReal: a file said that it is mostly holes and is not.
var errNotSparse = errors.New("the file holds more than was listed")

// diskSize is what a file needs on the disk, as it was listed, bytes.
func (it *item) diskSize() int64 {
	if it.sparse() {
		return it.blocks * 512
	}
	return it.size
}

// admit tells why n more bytes may not come, or "" and counts them. held is what
// is already here of them.
func (p *pull) admit(n, held int64) string {
	sum := p.total.Add(n)
	switch {
	case n < 0 || n > maxFile:
		p.total.Add(-n)
		return "the file is larger than any can be"
	case p.o.MaxTotal > 0 && sum > p.o.MaxTotal:
		p.total.Add(-n)
		return "over the limit for the sum of all files"
	case p.freeOK && sum > p.free-p.o.FreeSpace+held:
		p.total.Add(-n)
		return "not enough free space on the disk here"
	}
	return ""
}
