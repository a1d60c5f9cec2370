package sim

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestControl(t *testing.T) {
	s := start(t, Config{Still: true})
	ctx := t.Context()
	c, err := NewControl(s.controlURL())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetFault(ctx, Fault{Kind: "503", RetryAfter: "9"}); err != nil {
		t.Fatal(err)
	}
	if r := call(t, s, "GET", "/vms", ""); r.status != 503 || r.header.Get("Retry-After") != "9" {
		t.Errorf("fault: %+v", r)
	}
	st, err := c.Status(ctx)
	if err != nil || len(st.Faults) != 1 || len(st.VMs) != 12 || st.BaseURL != s.BaseURL() || st.Calls != 1 {
		t.Errorf("status: %+v %v", st, err)
	}
	for what, err := range map[string]error{
		"finish": c.Deed(ctx, "marketing", "finish"), "state": c.SetVMState(ctx, "chad-dev", StatePaused), "key": c.RotateKey(ctx, "marketing"),
		"host key": c.RotateHostKey(ctx, "marketing"), "clear": c.SetFault(ctx, Fault{Kind: "off"}), "cut": c.Cut(ctx),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.VM("marketing").atWork() || s.VM("chad-dev").State() != StatePaused || len(s.faults.list()) != 0 {
		t.Error("the steering had no effect")
	}
	if err := c.Deed(ctx, "nobody", "finish"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("unknown VM: %v", err)
	}
	if err := c.SetFault(ctx, Fault{Kind: "boom"}); err == nil || !strings.Contains(err.Error(), "unknown fault") {
		t.Errorf("unknown fault: %v", err)
	}
	wrong, err := NewControl(strings.TrimSuffix(s.controlURL(), s.token) + "guess")
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Stop(ctx); err == nil && s.ctx.Err() != nil {
		t.Error("stopped without the secret")
	}
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-s.Done():
	case <-time.After(time.Minute):
		t.Error("stop: still running")
	}
	if err := c.Stop(ctx); err == nil || strings.Contains(err.Error(), s.token) {
		t.Errorf("error of a stopped simulator: %v", err)
	}
}

func TestNothingIsLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Config{})
	if err != nil {
		t.Fatal(err)
	}
	mustLogin(t, s, s.VM("marketing"))
	cancel()
	<-s.Done()
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Errorf("folder %s is left: %v", s.Dir(), err)
	}
	dir := t.TempDir()
	kept := start(t, Config{Dir: dir + "/sim", Still: true})
	root := kept.VM("marketing").Root()
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(root + "/root/workspace"); err != nil {
		t.Errorf("named folder: %v", err)
	}
	if _, err := Start(t.Context(), Config{Dir: dir + "/sim"}); err == nil {
		t.Error("started in a folder that is not empty")
	}
	for _, bad := range []Config{{VMs: 3}, {Addr: "0.0.0.0:0"}, {Addr: "example.org:80"}, {Addr: "x"}} {
		if _, err := Start(t.Context(), bad); err == nil {
			t.Errorf("%+v accepted", bad)
		}
	}
}

func TestEnvAndSeed(t *testing.T) {
	a, b := start(t, Config{Seed: 5, Still: true}), start(t, Config{Seed: 5, Still: true})
	if a.APIKey() != b.APIKey() || a.VM("chad-dev").ID() != b.VM("chad-dev").ID() {
		t.Error("the same seed gives other ids")
	}
	keyA, _ := a.VM("chad-dev").HostKey()
	keyB, _ := b.VM("chad-dev").HostKey()
	if keyA != keyB || keyA == "" {
		t.Error("the same seed gives other host keys")
	}
	env := strings.Join(a.Env(), "\n")
	for _, want := range []string{"VERS_FLEET_API_URL=http://127.0.0.1:", "/api/v1\n", "VERS_FLEET_API_KEY=" + a.owner, "VERS_FLEET_VM_GATEWAY=127.0.0.1:", "VERS_FLEET_TLS_CA=/", "VERS_FLEET_SIM=http://"} {
		if !strings.Contains(env, want) {
			t.Errorf("Env lacks %q:\n%s", want, env)
		}
	}
}
