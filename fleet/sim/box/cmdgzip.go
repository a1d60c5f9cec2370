package box

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// cmdGzip compresses or unpacks a stream; files are only read, never replaced.
func cmdGzip(c *cmd) int {
	f, names, ok := c.parse("cdknf123456789", "stdout=c", "decompress=d", "keep=k", "fast=1", "best=9")
	if !ok {
		return 1
	}
	unpack := f.on("d") || c.name != "gzip"
	if len(names) > 0 && !f.on("c") && c.name != "zcat" {
		return c.failf("replacing files: not available in the simulator; use -c")
	}
	return c.eachInput(names, func(_ string, r io.Reader) error {
		if unpack {
			zr, err := gzip.NewReader(r)
			if err != nil {
				return err
			}
			return c.copy(c.out, zr)
		}
		level := gzip.DefaultCompression
		if f.on("1") {
			level = gzip.BestSpeed
		}
		zw, err := gzip.NewWriterLevel(c.out, level)
		if err != nil {
			return err
		}
		return errors.Join(c.copy(zw, r), zw.Close())
	})
}

func cmdCmp(c *cmd) int {
	f, names, ok := c.parse("s", "silent=s", "quiet=s")
	if !ok || len(names) != 2 {
		return 2
	}
	a, err := c.input(names[0])
	if err != nil {
		return max(c.fail(names[0], err), 2)
	}
	defer a.Close()
	b, err := c.input(names[1])
	if err != nil {
		return max(c.fail(names[1], err), 2)
	}
	defer b.Close()
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		nA, errA := io.ReadFull(a, bufA)
		nB, errB := io.ReadFull(b, bufB)
		if !bytes.Equal(bufA[:nA], bufB[:nB]) {
			if !f.on("s") {
				_, _ = io.WriteString(c.out, names[0]+" "+names[1]+" differ\n")
			}
			return 1
		}
		if errA != nil || errB != nil {
			return 0
		}
	}
}
