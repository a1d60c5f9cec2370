//go:build !linux

package sshd

import (
	"context"
	"os"
	"os/exec"
)

func setProcAttr(*exec.Cmd, bool) {}

func canIsolate(context.Context) bool { return false }

// descendants finds nothing here: sessions end when their connections do.
func descendants(int) []int { return nil }

func sessions(int) []int { return nil }

func killAll([]int) {}

// FIFO is needed by isolated servers only.
func FIFO(string) (*os.File, error) { return nil, ErrNotLinux }
