package remote

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/inventory"
)

// VMs that stand still hold up no others, however few places there are, and are
// told by name when only they are left.
func TestSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vms := make([]inventory.VM, 6)
		for n := range vms {
			vms[n].ID = fmt.Sprint(n)
		}
		began := time.Now()
		var mu sync.Mutex
		done := map[int]time.Duration{}
		var told []string
		waiting := func(vms []inventory.VM) {
			text := fmt.Sprint(time.Since(began).Round(time.Second))
			for _, vm := range vms {
				text += " " + vm.ID
			}
			told = append(told, text)
		}
		sideBySide(vms, side{jobs: 2, waiting: waiting}, func(n int, alive func()) {
			switch n {
			case 0, 1: // stand still for hours
				time.Sleep(time.Duration(n+1) * time.Hour)
			case 2: // slow, with signs of life
				for range 20 {
					time.Sleep(Patience / 2)
					alive()
				}
			default:
				time.Sleep(time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			done[n] = time.Since(began)
		})
		for n := 3; n < 6; n++ {
			if done[n] > Patience+5*time.Second {
				t.Errorf("VM %d was done after %v", n, done[n])
			}
		}
		if want := []string{"5m30s 0 1", "1h0m0s 1"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// Where a person said how many, it is never more.
func TestSideBySideStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		working, most := 0, 0
		sideBySide(make([]inventory.VM, 3), side{jobs: 1, strict: true}, func(int, func()) {
			mu.Lock()
			working++
			most = max(most, working)
			mu.Unlock()
			time.Sleep(time.Hour)
			mu.Lock()
			working--
			mu.Unlock()
		})
		if most != 1 {
			t.Errorf("%d at once", most)
		}
	})
}
