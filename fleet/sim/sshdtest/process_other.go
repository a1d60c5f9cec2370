//go:build !linux

package sshdtest

import (
	"context"
	"os/exec"
)

func setProcAttr(*exec.Cmd, bool) {}

func canIsolate(context.Context) bool { return false }

// descendants finds nothing here: sessions end when their connections do.
func descendants(int) []int { return nil }

func killAll([]int) {}
