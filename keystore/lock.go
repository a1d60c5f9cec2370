package keystore

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/gofrs/flock"
)

// lockTable lets the goroutines of this process queue for a lock before one of
// them blocks in the kernel for it.
type lockTable struct {
	mu    sync.Mutex
	slots map[string]chan struct{}
}

func (t *lockTable) slot(name string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil {
		t.slots = map[string]chan struct{}{}
	}
	if t.slots[name] == nil {
		t.slots[name] = make(chan struct{}, 1)
	}
	return t.slots[name]
}

// Lock takes the advisory lock name, shared by all processes that use this
// profile. With wait it queues until ctx ends, otherwise a held lock is
// KindLocked at once. The lock is freed by unlock, and by the kernel when the
// process dies in whatever way. Locks are not reentrant.
func (s *Store) Lock(ctx context.Context, name string, wait bool) (unlock func(), err error) {
	if !validName(name) {
		return nil, invalid("lock", "%.40q is not a lock name", name)
	}
	return s.lock(ctx, "user."+name, wait)
}

// lock is Lock for the store's own names.
func (s *Store) lock(ctx context.Context, name string, wait bool) (func(), error) {
	if err := s.makeFolders(s.path("locks")); err != nil {
		return nil, err
	}
	path := s.path("locks", name+".lock")
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		_ = os.Remove(path) // no lock of ours, and a FIFO would block
	}
	slot := s.locks.slot(name)
	if !wait {
		select {
		case slot <- struct{}{}:
		default:
			return nil, locked(path, nil)
		}
	} else {
		select {
		case slot <- struct{}{}:
		case <-ctx.Done():
			return nil, locked(path, ctx.Err())
		}
	}
	fl, err := flockFile(ctx, path, wait)
	if err != nil {
		<-slot
		return nil, err
	}
	return sync.OnceFunc(func() { _ = fl.Close(); <-slot }), nil
}

// flockFile locks path. The kernel queues waiters in order, which polling
// would not: so the wait happens in a goroutine of its own, and a waiter that
// gave up frees the lock as soon as it gets it.
func flockFile(ctx context.Context, path string, wait bool) (*flock.Flock, error) {
	fl := flock.New(path)
	ok, err := fl.TryLock()
	if err != nil {
		return nil, ioError("lock", path, err)
	}
	if ok {
		return fl, nil
	}
	if !wait {
		_ = fl.Close()
		return nil, locked(path, nil)
	}
	got := make(chan error, 1)
	go func() { got <- fl.Lock() }()
	select {
	case err := <-got:
		if err != nil {
			return nil, ioError("lock", path, err)
		}
		return fl, nil
	case <-ctx.Done():
		go func() {
			if <-got == nil {
				_ = fl.Close()
			}
		}()
		return nil, locked(path, ctx.Err())
	}
}

// LockFile is Lock for a file outside the store, which is made if it is missing
// and stays. It always waits, until ctx ends.
func LockFile(ctx context.Context, path string) (unlock func(), err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, specialFile("lock", path, info)
	}
	fl, err := flockFile(ctx, path, true)
	if err != nil {
		return nil, err
	}
	return func() { _ = fl.Close() }, nil
}

func locked(path string, err error) error {
	why := "another process holds it"
	if errors.Is(err, context.Canceled) {
		why = "cancelled while waiting for another process"
	}
	return &Error{Kind: KindLocked, Op: "lock", Path: path, Why: why, Err: err}
}
