package dest

import "golang.org/x/sys/unix"

// Flush makes everything written durable with one call (syncfs(2)).
func (d *Dest) Flush() error {
	h, err := d.dirs.get("", false)
	if err != nil {
		return err
	}
	defer h.release()
	return unix.Syncfs(int(h.f.Fd()))
}

const haveSyncfs = true
