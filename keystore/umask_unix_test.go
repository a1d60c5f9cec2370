//go:build unix

package keystore

import "syscall"

func setUmask(mask int) { syscall.Umask(mask) }
