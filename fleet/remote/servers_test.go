package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/access"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/remote"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// bannerText is a banner with an attack in it, shownText how it is shown.
const (
	bannerText = "Authorized\tuse only\n\x1b]0;owned\a\u202e\n"
	shownText  = "Authorized\tuse only\n\\x1b]0;owned\\x07\\u202e\n"
)

func bannerWorld(t *testing.T) *fleettest.World {
	if err := sshd.Check(t.Context(), sshd.Options{}); err != nil {
		simtest.Missing(t, err)
	}
	w := fleettest.NewOf(t, sim.Config{VMs: 6, Seed: 1, Still: true, Guest: sim.GuestSSHD, SSHD: sshd.Options{Config: []string{"Banner /root/banner"}}})
	fleettest.Record(t, w)
	if err := os.WriteFile(w.Sim.VM(sim.MarketingID).Root()+"/root/banner", []byte(bannerText), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// A server's banner is shown once, as OpenSSH shows it, harmless, unless -q was given,
// by all that logs in for a person.
func TestBanner(t *testing.T) {
	w := bannerWorld(t)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	for name, work := range map[string]func(context.Context, *fleet.Fleet, remote.RunOptions) error{
		"ssh": func(ctx context.Context, f *fleet.Fleet, o remote.RunOptions) error {
			return f.Remote.Session(ctx, vm, o, nil)
		},
		"ssh -L": func(ctx context.Context, f *fleet.Fleet, o remote.RunOptions) error {
			spec, err := remote.ParseForward(remote.ForwardLocal, "127.0.0.1:0:localhost:1")
			return errors.Join(err, f.Remote.Session(ctx, vm, o, []remote.ForwardSpec{spec}))
		},
		"ssh -N": func(ctx context.Context, f *fleet.Fleet, o remote.RunOptions) error {
			ctx, stop := context.WithTimeout(ctx, 3*time.Second)
			defer stop()
			if err := f.Remote.Hold(ctx, vm, o, nil); ctx.Err() == nil {
				return err
			}
			_, err := io.WriteString(o.Stdout, "out\n")
			return err
		},
		"ssh -W": func(ctx context.Context, f *fleet.Fleet, o remote.RunOptions) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			go func() {
				if c, err := l.Accept(); err == nil {
					_, _ = io.WriteString(c, "out\n")
					_ = c.Close()
				}
			}()
			return f.Remote.StdioForward(ctx, vm, o, l.Addr().String())
		},
		"exec": func(ctx context.Context, f *fleet.Fleet, o remote.RunOptions) error {
			r := remote.ExecRequest{VMs: []inventory.VM{vm}, Command: o.Command, Output: func(inventory.VM) (io.Writer, io.Writer) { return o.Stdout, o.Stderr }}
			if !o.Quiet {
				r.Banner = func(_ inventory.VM, text string) { _, _ = io.WriteString(o.Stderr, text) }
			}
			_, err := f.Remote.Exec(ctx, r)
			return err
		},
	} {
		for quiet, want := range map[bool]string{false: shownText, true: ""} {
			var out, errOut bytes.Buffer
			o := remote.RunOptions{Command: "echo out", Stdout: &out, Stderr: &errOut, Quiet: quiet}
			if err := work(t.Context(), w.Open(), o); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if out.String() != "out\n" || errOut.String() != want {
				t.Errorf("%s, quiet %t: stdout %q, stderr %q", name, quiet, out.String(), errOut.String())
			}
		}
	}
}

// Over a connection that another process keeps the banner is shown too.
func TestBannerOfSharedConnection(t *testing.T) {
	w := bannerWorld(t)
	vm := inventory.VM{ID: sim.MarketingID, Name: "marketing"}
	ctx, stop := context.WithCancel(t.Context())
	var sharing sync.WaitGroup
	defer sharing.Wait()
	defer stop()
	share := access.Sharing{Idle: time.Minute, Runtime: t.TempDir()}
	keeper := w.Open(func(o *fleet.Options) { o.Share = share })
	share.Start = func(b access.Background) error {
		sharing.Go(func() { _ = keeper.Access.Share(ctx, b) })
		return nil
	}
	var borrowed atomic.Bool
	f := w.Open(func(o *fleet.Options) {
		o.Share = share
		o.Logf = func(format string, _ ...any) {
			if strings.HasPrefix(format, "using the shared connection") {
				borrowed.Store(true)
			}
		}
	})
	for deadline := time.Now().Add(40 * time.Second); !borrowed.Load(); time.Sleep(20 * time.Millisecond) {
		var out, errOut bytes.Buffer
		if err := f.Remote.Session(ctx, vm, remote.RunOptions{Command: "echo out", Stdout: &out, Stderr: &errOut}, nil); err != nil {
			t.Fatal(err)
		}
		if out.String() != "out\n" || errOut.String() != shownText {
			t.Errorf("borrowed %t: stdout %q, stderr %q", borrowed.Load(), out.String(), errOut.String())
		}
		if time.Now().After(deadline) {
			t.Fatal("the connection is never shared")
		}
	}
}
