// Command vers-fleet reaches the VMs of a fleet over SSH whether or not the
// platform's API answers.
package main

import (
	"os"

	"github.com/vers-fleet/vers-fleet/cmd"
)

func main() { os.Exit(cmd.Main()) }
