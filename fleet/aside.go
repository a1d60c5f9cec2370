package fleet

import (
	"context"
	"errors"
	"sync"

	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/retry"
)

// errNotAsked is what a question on the side ends with when it was not put.
var errNotAsked = errors.New("not asked")

// aside asks for something that nothing depends on. Each place has an outage
// memory of its own: one that gives no answer is left alone for a while by all
// processes of the profile, and says nothing about the API. While the API is
// down nothing is asked.
func aside[T any](ctx context.Context, f *Fleet, place string, ask func(context.Context) (T, error)) (T, error) {
	var nothing T
	if !f.apiIsUp() {
		return nothing, errNotAsked
	}
	memory := f.memoryOf(place)
	if permit, _ := memory.Ask(false); permit == retry.PermitHold {
		return nothing, errNotAsked
	}
	ctx, stop := context.WithTimeout(ctx, probeTimeout)
	defer stop()
	began := f.o.Now()
	value, err := ask(ctx)
	f.rememberIn(memory, err, 1, f.o.Now().Sub(began))
	return value, err
}

// askRegistry begins to ask the optional registry, beside the API and not
// after it. names waits for the answer, with errNotAsked when there is none to
// wait for; stop gives up waiting, and must be called in the end.
func (f *Fleet) askRegistry(ctx context.Context) (names func() ([]namedVM, error), stop func()) {
	if f.o.Registry.URL == "" || f.o.Registry.Token == nil {
		return func() ([]namedVM, error) { return nil, errNotAsked }, func() {}
	}
	token, err := f.o.Registry.Token(ctx)
	if err != nil {
		return func() ([]namedVM, error) { return nil, err }, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	names = sync.OnceValues(func() ([]namedVM, error) { return f.registryNames(ctx, token) })
	var asking sync.WaitGroup
	asking.Go(func() { _, _ = names() })
	return names, func() {
		cancel()
		asking.Wait()
	}
}

func (f *Fleet) registryNames(ctx context.Context, token string) ([]namedVM, error) {
	client, err := f.client()
	if err != nil {
		return nil, errNotAsked // the API cannot be asked either, and says why
	}
	return aside(ctx, f, f.o.Registry.URL, func(ctx context.Context) ([]namedVM, error) {
		list, err := client.RegistryVMs(ctx, f.o.Registry.URL, token)
		var names []namedVM
		for _, vm := range list {
			if name, err := lieutenant.CheckName(vm.Name); err == nil {
				names = append(names, namedVM{VMID: vm.ID, Name: name, Role: vm.Role, Source: SourceRegistry})
			}
		}
		return names, err
	})
}
