package transfer

import "slices"

// byteRange is the bytes from off up to end.
type byteRange struct{ off, end int64 }

func (s byteRange) len() int64 { return s.end - s.off }

// byteRanges are sorted, and neither touch nor overlap.
type byteRanges []byteRange

// add merges a range in.
func (ss byteRanges) add(s byteRange) byteRanges {
	if s.len() <= 0 {
		return ss
	}
	i, _ := slices.BinarySearchFunc(ss, s.off, func(a byteRange, off int64) int {
		switch {
		case a.end < off:
			return -1
		case a.off > off:
			return 1
		}
		return 0
	})
	j := i
	for j < len(ss) && ss[j].off <= s.end {
		s.off, s.end = min(s.off, ss[j].off), max(s.end, ss[j].end)
		j++
	}
	return slices.Replace(ss, i, j, s)
}

// prefix is how far the bytes are there without a gap.
func (ss byteRanges) prefix() int64 {
	if len(ss) == 0 || ss[0].off != 0 {
		return 0
	}
	return ss[0].end
}

func (ss byteRanges) total() int64 {
	var n int64
	for _, s := range ss {
		n += s.len()
	}
	return n
}

// missing are the gaps below size, cut into chunks that begin at multiples of
// rangeBlock and are at most chunk long.
func (ss byteRanges) missing(size, chunk int64) []byteRange {
	var gaps []byteRange
	at := int64(0)
	for _, s := range append(slices.Clone(ss), byteRange{size, size}) {
		for at < min(s.off, size) {
			from := at - at%rangeBlock
			end := min(from+chunk, roundUp(s.off, rangeBlock), size)
			gaps = append(gaps, byteRange{from, end})
			at = end
		}
		at = max(at, s.end)
	}
	return gaps
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
