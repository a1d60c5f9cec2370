package inventory

import (
	"context"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
)

// askRegistry begins to ask the optional registry, beside the API and not
// after it. names waits for the answer, with errNotAsked when there is none to
// wait for; stop gives up waiting, and must be called in the end.
func (iv *Inventory) askRegistry(ctx context.Context, m outage.Mode) (names func() ([]namedVM, error), stop func()) {
	if iv.o.Registry.URL == "" || iv.o.Registry.Token == nil {
		return func() ([]namedVM, error) { return nil, outage.ErrNotAsked }, func() {}
	}
	token, err := iv.o.Registry.Token(ctx)
	if err != nil {
		return func() ([]namedVM, error) { return nil, err }, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	names = sync.OnceValues(func() ([]namedVM, error) { return iv.registryNames(ctx, m, token) })
	var asking sync.WaitGroup
	asking.Go(func() { _, _ = names() })
	return names, func() {
		cancel()
		asking.Wait()
	}
}

func (iv *Inventory) registryNames(ctx context.Context, m outage.Mode, token string) ([]namedVM, error) {
	client, err := iv.api.Client()
	if err != nil {
		return nil, outage.ErrNotAsked // the API cannot be asked either, and says why
	}
	return outage.BestEffort(ctx, iv.api, m, iv.o.Registry.URL, func(ctx context.Context) ([]namedVM, error) {
		list, err := client.RegistryVMs(ctx, iv.o.Registry.URL, token)
		var names []namedVM
		for _, vm := range list {
			if name, err := lieutenant.CheckName(vm.Name); err == nil {
				names = append(names, namedVM{VMID: vm.ID, Name: name, Role: vm.Role, Source: SourceRegistry, Phase: phaseOf(vm.Status), SeenAt: iv.seenAt(vm)})
			}
		}
		return names, err
	})
}
