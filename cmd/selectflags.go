package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
)

// selectFlags are --all and -l, by which several VMs are chosen.
type selectFlags struct {
	all    bool
	labels []string
}

func (s *selectFlags) register(env *Env, c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.all, "all", false, "every VM of the fleet")
	f.StringArrayVarP(&s.labels, "label", "l", nil, "VMs with the label `KEY=VALUE`; repeat it to narrow further")
	registerCompletion(c, "label", completeLabels(env))
}

// given reports whether VMs were chosen by flags.
func (s *selectFlags) given() bool { return s.all || len(s.labels) > 0 }

// selection joins flags and names; it must not be empty.
func (s *selectFlags) selection(names []string) (inventory.Selection, error) {
	sel, err := s.optional(names)
	if err == nil && sel.Empty() {
		err = usageError("no VM was chosen", "", "name one or more VMs, or use --all or -l KEY=VALUE; see: vers-fleet vms")
	}
	return sel, err
}

// optional is selection that may be empty.
func (s *selectFlags) optional(names []string) (inventory.Selection, error) {
	sel := inventory.Selection{All: s.all, Names: names}
	for _, l := range s.labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok || k == "" {
			return sel, usageError("-l needs KEY=VALUE", "", "for example: -l role=lieutenant")
		}
		if sel.Labels == nil {
			sel.Labels = map[string]string{}
		}
		if old, twice := sel.Labels[k]; twice && old != v {
			return sel, usageError("-l "+k+" was given two different values", "no VM can have both", "give it once")
		}
		sel.Labels[k] = v
	}
	for _, n := range names {
		if n == "" {
			return sel, usageError("a VM's name is empty", "", "see the names with: vers-fleet vms")
		}
	}
	return sel, nil
}
