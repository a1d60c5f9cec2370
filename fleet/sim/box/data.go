package box

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// ddJob is what dd was asked for.
type ddJob struct {
	in, out            string
	block, count, skip int64
	silent             bool
}

func (j *ddJob) set(key, value string) (err error) {
	switch key {
	case "if":
		j.in = value
	case "of":
		j.out = value
	case "bs":
		j.block, err = number(value)
	case "count":
		j.count, err = number(value)
	case "skip":
		j.skip, err = number(value)
	case "status":
		j.silent = value == "none"
	default:
		return fmt.Errorf("operand '%s': not available in the simulator", key)
	}
	if err == nil && (j.block <= 0 || j.skip < 0) {
		err = fmt.Errorf("invalid number: '%s'", value)
	}
	return err
}

// cmdDd copies blocks. Reads that come back short are filled up.
func cmdDd(c *cmd) int {
	job := ddJob{in: "-", block: 512, count: -1}
	for _, arg := range c.args {
		key, value, _ := strings.Cut(arg, "=")
		if err := job.set(key, value); err != nil {
			return c.failf("%v", err)
		}
	}
	n, err := c.dd(job)
	if err != nil {
		return c.failf("%s", reason(err))
	}
	if !job.silent {
		fmt.Fprintf(c.err, "%d+%d records in\n%[1]d+%d records out\n%d bytes copied\n", n/job.block, min(n%job.block, 1), n)
	}
	return 0
}

func (c *cmd) dd(j ddJob) (n int64, err error) {
	r, err := c.input(j.in)
	if err != nil {
		return 0, fmt.Errorf("failed to open '%s': %s", j.in, reason(err))
	}
	defer r.Close()
	if file := seeker(r); file != nil {
		_, err = file.Seek(j.skip*j.block, io.SeekCurrent)
	} else if _, err = io.CopyN(io.Discard, r, j.skip*j.block); errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	w := c.out
	if j.out != "" {
		file, err := c.fs.openFile(c.ctx, c.path(j.out), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return 0, fmt.Errorf("failed to open '%s': %s", j.out, reason(err))
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	src := io.Reader(r)
	if j.count >= 0 {
		src = io.LimitReader(r, j.count*j.block)
	}
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, make([]byte, min(max(j.block, 64<<10), 1<<20)))
}

// seeker returns the plain file behind r, nil without one: that of a name, or
// the one that standard input comes from.
func seeker(r io.Reader) io.ReadSeeker {
	switch r := r.(type) {
	case *ctxFile:
		if reg, ok := r.File.(*regular); ok {
			return reg.File
		}
	case *ctxReader:
		file, ok := r.r.(*os.File)
		if !ok || file == nil {
			return nil
		}
		if fi, err := file.Stat(); err == nil && fi.Mode().IsRegular() {
			return file
		}
	}
	return nil
}

// cmdSum makes a command of a hash function.
func cmdSum(newHash func() hash.Hash) command {
	return func(c *cmd) int {
		_, names, ok := c.parse("")
		if !ok {
			return 1
		}
		buf := make([]byte, 256<<10)
		return c.eachInput(names, func(name string, r io.Reader) error {
			h := newHash()
			if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, buf); err != nil {
				return err
			}
			mark, shown := "", strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r").Replace(name)
			if shown != name {
				mark = "\\"
			}
			_, err := fmt.Fprintf(c.out, "%s%s  %s\n", mark, hex.EncodeToString(h.Sum(nil)), shown)
			return err
		})
	}
}
