package sshdtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
)

// Fleet is several VMs, each a real sshd with keys of its own, behind one
// gateway, and the API that lists them.
type Fleet struct {
	VMs     []*Server
	Gateway *Gateway
	API     *API

	dir string
}

// lieutenants are the names and the one id that the outage report tells of.
func lieutenants() []string {
	return []string{"chad-dev", "chad-fix", "infra-ui", "marketing", "investigator"}
}

const marketingID = "c8f9cadc-4c58-4eab-a847-df31723c7d16"

// LaunchFleet starts n VMs that share the options, but not Home, Name or VMID:
// the first five bear the names of the outage report (with the id that it
// gives for marketing), the others are support-1 and so on.
func LaunchFleet(ctx context.Context, n int, o Options) (*Fleet, error) {
	dir := o.Dir
	f := &Fleet{}
	if dir == "" {
		made, err := os.MkdirTemp("", "sshdtest-")
		if err != nil {
			return nil, err
		}
		dir, f.dir = made, made
	}
	if err := f.launch(ctx, n, dir, o); err != nil {
		f.Stop()
		return nil, err
	}
	return f, nil
}

func (f *Fleet) launch(ctx context.Context, n int, dir string, o Options) (err error) {
	if f.Gateway, err = NewGateway(ctx, filepath.Join(dir, "gateway")); err != nil {
		return err
	}
	for i := range n {
		each := o
		each.Gateway = f.Gateway
		each.Name, each.VMID = vmName(i), uuid.NewString()
		if each.Name == "marketing" {
			each.VMID = marketingID
		}
		each.Home, each.Dir = "", filepath.Join(dir, each.Name)
		vm, err := Launch(ctx, each)
		if err != nil {
			return fmt.Errorf("VM %s: %w", each.Name, err)
		}
		f.VMs = append(f.VMs, vm)
	}
	f.API = NewAPI(f.VMs...)
	return f.API.Listen(ctx)
}

func vmName(i int) string {
	if names := lieutenants(); i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("support-%d", i-len(lieutenants())+1)
}

// VM returns the VM with that name or id, or nil.
func (f *Fleet) VM(nameOrID string) *Server {
	for _, vm := range f.VMs {
		if vm.Name == nameOrID || vm.VMID == nameOrID {
			return vm
		}
	}
	return nil
}

// Env returns the settings that point vers-fleet at this fleet, as KEY=VALUE,
// with its state in home.
func (f *Fleet) Env(home string) []string {
	return []string{
		"VERS_FLEET_API_URL=" + f.API.URL,
		"VERS_FLEET_API_KEY=" + f.API.Key,
		"VERS_FLEET_VM_GATEWAY=" + f.Gateway.Addr,
		"VERS_FLEET_TLS_CA=" + f.Gateway.CAFile,
		"VERS_FLEET_HOME=" + home,
	}
}

// Stop ends everything and removes what LaunchFleet created.
func (f *Fleet) Stop() {
	if f.API != nil {
		f.API.Close()
	}
	for _, vm := range f.VMs {
		vm.Stop()
	}
	if f.Gateway != nil {
		f.Gateway.Close()
	}
	if f.dir != "" {
		os.RemoveAll(f.dir)
	}
}

// StartFleet launches a fleet for one test and stops it at the test's end; see
// [Start] for machines without sshd.
func StartFleet(t testing.TB, n int) *Fleet {
	t.Helper()
	return StartFleetWith(t, n, Options{})
}

// StartFleetWith is StartFleet with options for every VM.
func StartFleetWith(t testing.TB, n int, o Options) *Fleet {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.LogTo == nil {
		o.LogTo = t.Output()
	}
	f, err := LaunchFleet(context.WithoutCancel(t.Context()), n, o)
	if err != nil {
		Missing(t, err)
		t.Fatalf("starting a fleet of sshd: %v", err)
	}
	t.Cleanup(f.Stop)
	return f
}
