package daemon_test

import (
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
)

func all() inventory.Selection { return inventory.Selection{All: true} }

func named(names ...string) inventory.Selection { return inventory.Selection{Names: names} }
