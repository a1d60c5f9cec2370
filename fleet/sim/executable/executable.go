package executable

import (
	"io"
	"os"
	"syscall"
)

// Write writes a program that can be run at once. A child that is forked while the
// file is open for writing holds it open until it becomes another program, and
// meanwhile the system refuses to run the file (ETXTBSY, "text file busy"): nothing
// is forked while it is written. Reading content must not start a process.
func Write(path string, content io.Reader) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
