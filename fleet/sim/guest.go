package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

// Guest is a kind of VM.
type Guest string

// The kinds of VM.
const (
	GuestBox  Guest = "box"  // a portable one, whose commands are interpreted
	GuestSSHD Guest = "sshd" // a real OpenSSH server; needs Linux and root
)

// guest is what runs inside a VM.
type guest interface {
	// serve speaks SSH on a stream until it ends or ctx does.
	serve(ctx context.Context, stream net.Conn)
	// logins counts the logins so far.
	logins() int
	// drop ends every session as a crash would; restart does so too and starts
	// the VM's SSH server again, with its present host key.
	drop()
	restart(ctx context.Context) error
	// agent ends the agent's process, and starts it again if it is to run.
	agent(run bool) error
	// rekeyed tells that another key may log in now.
	rekeyed() error
	close()
}

// errDenied is why a login fails; the client only learns that it did.
var errDenied = errors.New("permission denied")

// boxGuest is a portable VM.
type boxGuest struct {
	vm      *VM
	machine *box.Machine
	count   atomic.Int64
}

func newBoxGuest(vm *VM, files *box.FS) (*boxGuest, error) {
	if err := files.Devices(); err != nil {
		return nil, err
	}
	m := &box.Machine{FS: files, Hostname: vm.hostname(), Started: vm.created}
	if vm.pi != nil {
		m.Tmux = func() string {
			if vm.pi.running() {
				return piSession
			}
			return ""
		}
		if err := files.WriteFile(piIn, nil, 0o644); err != nil {
			return nil, err
		}
		files.SetSpecial(piIn, box.FIFO(vm.pi.take))
	}
	return &boxGuest{vm: vm, machine: m}, nil
}

func (g *boxGuest) serve(ctx context.Context, stream net.Conn) {
	config, err := g.vm.sshConfig()
	if err != nil {
		return
	}
	g.machine.Serve(ctx, stream, config, func() {
		g.vm.sim.cfg.Logf("sim: ssh %s: login", g.vm.id)
		g.count.Add(1)
	})
}

func (g *boxGuest) logins() int                   { return int(g.count.Load()) }
func (g *boxGuest) drop()                         { g.vm.sim.gateway.cut(g.vm) }
func (g *boxGuest) restart(context.Context) error { g.drop(); return nil }
func (g *boxGuest) rekeyed() error                { return nil } // keys are looked at when they are used
func (g *boxGuest) agent(bool) error              { return nil } // tmux asks the lieutenant
func (g *boxGuest) close()                        {}

// sshConfig accepts root with the VM's current key and nobody else.
func (vm *VM) sshConfig() (*ssh.ServerConfig, error) {
	raw, err := vm.hostKeyPEM()
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-vers-fleet-sim",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			mine, err := vm.keyPair()
			if err != nil {
				return nil, err
			}
			if meta.User() != "root" || !bytes.Equal(key.Marshal(), mine.public.Marshal()) {
				return nil, errDenied
			}
			return &ssh.Permissions{}, nil
		},
	}
	config.AddHostKey(signer)
	return config, nil
}

// sshdGuest is a real OpenSSH server.
type sshdGuest struct {
	vm     *VM
	server *sshd.Server
	fifo   *os.File // the agent's, nil without one
}

func newSSHDGuest(vm *VM) (*sshdGuest, error) {
	g := &sshdGuest{vm: vm}
	o := vm.sim.cfg.SSHD
	o.Dir = filepath.Join(vm.sim.dir, "sshd", vm.id)
	o.Home, o.Tmp, o.Hostname = filepath.Join(vm.folder(), "root"), filepath.Join(vm.folder(), "tmp"), vm.hostname()
	o.HostnameFile = filepath.Join(vm.folder(), "etc", "hostname")
	login, err := vm.keyPair()
	if err != nil {
		return nil, err
	}
	o.Login = strings.TrimSpace(login.line())
	if o.HostKey, err = vm.hostKeyPEM(); err != nil {
		return nil, err
	}
	if vm.pi != nil {
		o.Agent = agentProcess
		if g.fifo, err = sshd.FIFO(filepath.Join(vm.folder(), piIn)); err != nil {
			return nil, err
		}
		go func() { // ends when the FIFO is closed
			_, _ = io.Copy(writerFunc(vm.pi.take), g.fifo)
		}()
	}
	if g.server, err = sshd.Launch(vm.sim.ctx, o); err != nil {
		g.close()
		return nil, fmt.Errorf("sshd of %s: %w", vm.Name(), err)
	}
	return g, nil
}

// agentProcess stands for the agent where people look for it: in tmux, where
// that is installed, and with its event stream open.
const agentProcess = `run='exec sleep 100000000 3>>` + piOut + `'; tmux new-session -d -s ` + piSession + ` "$run" || sh -c "$run"`

func (g *sshdGuest) serve(ctx context.Context, stream net.Conn) {
	inner, err := g.server.Dial(ctx)
	if err != nil {
		return
	}
	defer inner.Close()
	stop := context.AfterFunc(ctx, func() { _ = inner.Close() })
	defer stop()
	relay(stream, inner)
}

func (g *sshdGuest) logins() int {
	all, _ := g.server.Logins()
	return all
}

func (g *sshdGuest) drop() { g.server.DropSessions() }

func (g *sshdGuest) restart(ctx context.Context) error {
	key, err := g.vm.hostKeyPEM()
	if err != nil {
		return err
	}
	return g.server.SetHostKey(ctx, key)
}

// agent works from inside, as whoever starts agents does.
func (g *sshdGuest) agent(run bool) error {
	script := `tmux kill-session -t ` + piSession + ` 2>/dev/null; for p in /proc/[0-9]*; do
case $(ls -l "$p/fd" 2>/dev/null) in *"` + piOut + `"*) kill "${p#/proc/}" ;; esac; done`
	if run {
		script += "; (" + agentProcess + ") </dev/null >/dev/null 2>&1 &"
	}
	key, err := g.vm.PrivateKey()
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return err
	}
	inner, err := g.server.Dial(g.vm.sim.ctx)
	if err != nil {
		return err
	}
	defer inner.Close()
	conn, channels, requests, err := ssh.NewClientConn(inner, g.vm.id, &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()}) // it is our own
	if err != nil {
		return err
	}
	client := ssh.NewClient(conn, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	return session.Run(script)
}

func (g *sshdGuest) rekeyed() error {
	key, err := g.vm.keyPair()
	if err != nil {
		return err
	}
	return g.server.SetLogin(strings.TrimSpace(key.line()))
}

func (g *sshdGuest) close() {
	if g.server != nil {
		g.server.Stop()
	}
	if g.fifo != nil {
		_ = g.fifo.Close()
	}
}

// writerFunc is a function that takes bytes as a writer does.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// relayBuffer is large enough that one read empties a full socket buffer.
const relayBuffer = 256 << 10

// relay copies both ways until both are done. The end of one direction is
// passed on as a half-close; an error ends both.
func relay(outer, inner net.Conn) {
	var wg sync.WaitGroup
	wg.Go(func() { pass(inner, outer) })
	wg.Go(func() { pass(outer, inner) })
	wg.Wait()
}

func pass(dst, src net.Conn) {
	// The wrappers hide ReadFrom and WriteTo, which would use small buffers.
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, relayBuffer))
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		_, _ = dst.Close(), src.Close()
	}
}
