package transfer

import "golang.org/x/sys/unix"

// flush makes everything written durable with one call (syncfs(2)).
func (d *dest) flush() error {
	h, err := d.dirs.get("", false)
	if err != nil {
		return err
	}
	defer h.release()
	return unix.Syncfs(int(h.f.Fd()))
}

const haveSyncfs = true
