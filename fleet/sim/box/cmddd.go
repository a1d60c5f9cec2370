package box

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// ddJob is what dd was asked for.
type ddJob struct {
	in, out               string
	ibs, obs              int64
	count, skip, seek     int64
	skipBytes, countBytes bool
	seekBytes, noTrunc    bool
	appendOut, nonblock   bool
	silent                bool
}

func cmdDd(c *cmd) int {
	job := ddJob{ibs: 512, obs: 512, count: -1}
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
		fmt.Fprintf(c.err, "%d+%d records in\n%d+%d records out\n%d bytes copied\n",
			n/job.ibs, min(n%job.ibs, 1), n/job.ibs, min(n%job.ibs, 1), n)
	}
	return 0
}

func (j *ddJob) set(key, value string) (err error) {
	switch key {
	case "if":
		j.in = value
	case "of":
		j.out = value
	case "bs":
		j.ibs, err = number(value)
		j.obs = j.ibs
	case "ibs":
		j.ibs, err = number(value)
	case "obs":
		j.obs, err = number(value)
	case "count":
		j.count, err = number(value)
	case "skip", "iseek":
		j.skip, err = number(value)
	case "seek", "oseek":
		j.seek, err = number(value)
	case "status":
		j.silent = value == "none" || value == "noxfer"
	case "iflag", "oflag", "conv":
		for flag := range strings.SplitSeq(value, ",") {
			switch flag {
			case "skip_bytes":
				j.skipBytes = true
			case "count_bytes":
				j.countBytes = true
			case "seek_bytes":
				j.seekBytes = true
			case "notrunc":
				j.noTrunc = true
			case "append":
				j.appendOut = true
			case "nonblock":
				j.nonblock = true
			case "fullblock", "sync", "dsync", "fsync", "fdatasync", "direct", "nocache", "binary":
				if flag == "sync" && key == "conv" {
					return errors.New("conv=sync: not available in the simulator")
				}
			default:
				return fmt.Errorf("%s=%s: not available in the simulator", key, flag)
			}
		}
	default:
		return fmt.Errorf("unrecognized operand '%s'", key)
	}
	if err == nil && (j.ibs <= 0 || j.obs <= 0 || j.skip < 0 || j.seek < 0) {
		err = fmt.Errorf("invalid number: '%s'", value)
	}
	return err
}

// dd copies and returns the number of bytes.
func (c *cmd) dd(j ddJob) (int64, error) {
	skip, count, seek := j.skip*j.ibs, j.count, j.seek*j.obs
	if j.skipBytes {
		skip = j.skip
	}
	if j.seekBytes {
		seek = j.seek
	}
	if !j.countBytes && count >= 0 {
		count *= j.ibs
	}
	in := "-"
	if j.in != "" {
		in = j.in
	}
	r, err := c.input(in)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if file := seeker(r); file != nil {
		_, err = file.Seek(skip, io.SeekStart)
	} else if _, err = io.CopyN(io.Discard, r, skip); errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	w, done, err := c.ddOut(j, seek)
	if err != nil {
		return 0, err
	}
	src := io.Reader(r)
	if count >= 0 {
		src = io.LimitReader(r, count)
	}
	buf := make([]byte, min(max(j.ibs, 64<<10), 1<<20))
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, buf)
	return n, errors.Join(err, done())
}

func (c *cmd) ddOut(j ddJob, seek int64) (io.Writer, func() error, error) {
	if j.out == "" {
		return c.out, func() error { return nil }, nil
	}
	flag := os.O_WRONLY | os.O_CREATE
	if !j.noTrunc && seek == 0 && !j.appendOut {
		flag |= os.O_TRUNC
	}
	if j.appendOut {
		flag |= os.O_APPEND
	}
	if j.nonblock {
		flag |= syscall.O_NONBLOCK
	}
	full := c.path(j.out)
	if !j.noTrunc && seek > 0 {
		if err := errors.Join(c.fs.Append(full, nil), c.fs.Truncate(full, seek)); err != nil {
			return nil, nil, err
		}
	}
	file, err := c.fs.OpenFile(c.ctx, full, flag, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to open '%s': %s", j.out, reason(err))
	}
	if reg, ok := file.(*regular); ok && seek > 0 {
		if _, err := reg.Seek(seek, io.SeekStart); err != nil {
			return nil, nil, errors.Join(err, file.Close())
		}
	}
	return file, file.Close, nil
}
