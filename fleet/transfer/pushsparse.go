package transfer

import (
	"os"
	"runtime"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/dest"
)

// sparsePush is from how many bytes of holes they are worth the processes that a file
// sent by ranges costs the VM.
const sparsePush = 1 << 20

// holey tells whether a file here has holes that are worth to be kept.
func (it *pushItem) holey() bool {
	return it.Kind == 'f' && it.Sparse() && it.Size-it.DiskSize() >= sparsePush
}

// dataIn are the parts of a file here that are no holes: all of it where the system
// does not tell.
func dataIn(f *os.File, size int64) byteRanges {
	all := byteRanges{{0, size}}
	seekData, seekHole := 3, 4 // lseek(2)
	switch runtime.GOOS {
	case "linux", "freebsd":
	case "darwin":
		seekData, seekHole = 4, 3
	default:
		return all
	}
	if _, err := f.Seek(0, seekHole); err != nil {
		return all
	}
	var data byteRanges
	for at := int64(0); at < size; {
		from, err := f.Seek(at, seekData)
		if err != nil {
			break // no more data
		}
		if at, err = f.Seek(from, seekHole); err != nil {
			at = size
		}
		data = data.add(byteRange{from, min(at, size)})
	}
	return data
}

// holes are what need not be sent of a file that is to be as long as it is here, from
// a byte on below which the VM may have something else: whole blocks, but the last.
func (it *pushItem) holes(from int64) (holes byteRanges) {
	if !it.holey() {
		return nil
	}
	f, err := dest.OpenRegular(it.local)
	if err != nil {
		return nil // who sends it says so
	}
	defer func() { _ = f.Close() }()
	at := roundUp(from, rangeBlock)
	last := (it.Size - 1) / rangeBlock * rangeBlock
	for _, data := range append(dataIn(f, it.Size), byteRange{last, it.Size}) {
		holes = holes.add(byteRange{at, min(data.off/rangeBlock*rangeBlock, last)})
		at = max(at, roundUp(data.end, rangeBlock))
	}
	return holes
}
