package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/sim/wan"
)

// road is a way to the VMs of a certain length.
type road struct {
	rtt     time.Duration
	gateway string // host:port that stands for the platform's gateway
	config  string // for ssh -F
	env     []string
	bridge  *bridge
	relay   *wan.Relay // nil without distance
}

func (r *rig) road(ctx context.Context, rtt time.Duration) (*road, error) {
	if r.roads[rtt] != nil {
		return r.roads[rtt], nil
	}
	way := &road{rtt: rtt, gateway: r.sim.Gateway()}
	dir := filepath.Join(r.dir, "road"+rtt.String())
	if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
		return nil, err
	}
	if rtt > 0 {
		relay, err := wan.Listen(ctx, way.gateway, wan.Options{RTT: rtt, BytesPerSecond: r.o.rate})
		if err != nil {
			return nil, err
		}
		way.relay, way.gateway = relay, relay.Addr
	}
	var err error
	if way.bridge, err = newBridge(ctx, way.gateway, r.vms[0]); err != nil {
		way.close()
		return nil, err
	}
	way.config = filepath.Join(dir, "ssh_config")
	if err := r.writeSSHConfig(way, dir); err != nil {
		way.close()
		return nil, err
	}
	way.env = r.environment(way, dir)
	r.roads[rtt] = way
	r.introduce(ctx, way)
	return way, nil
}

func (w *road) close() {
	if w.relay != nil {
		w.relay.Close()
	}
	if w.bridge != nil {
		w.bridge.close()
	}
}

func (w *road) String() string {
	if w.rtt == 0 {
		return "0 ms"
	}
	return fmt.Sprintf("%d ms", w.rtt.Milliseconds())
}

// writeSSHConfig gives OpenSSH one host per VM, named like the VM.
func (r *rig) writeSSHConfig(way *road, dir string) error {
	var config, known strings.Builder
	for _, vm := range r.vms {
		fmt.Fprintf(&known, "%s %s\n", vm.ServerName, vm.HostKey)
		fmt.Fprintf(&config, `Host %s
  HostName %s
  User %s
  IdentityFile %s
  ProxyCommand openssl s_client -quiet -verify_quiet -verify_return_error -CAfile %s -servername %%h -connect %s
`, vm.Name, vm.ServerName, vm.User, vm.KeyFile, vm.CAFile, way.gateway)
	}
	fmt.Fprintf(&config, "Host *\n  IdentitiesOnly yes\n  BatchMode yes\n  LogLevel ERROR\n  UserKnownHostsFile %s/known_hosts\n", dir)
	if r.o.cipher != "" {
		fmt.Fprintf(&config, "  Ciphers %s\n", r.o.cipher)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(known.String()), 0o600),
		os.WriteFile(way.config, []byte(config.String()), 0o600))
}

// environment keeps the person's own settings of vers-fleet out of the way.
func (r *rig) environment(way *road, dir string) []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "VERS_") {
			env = append(env, pair)
		}
	}
	home := filepath.Join(dir, "home")
	env = append(env, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home)
	env = append(env, r.sim.Env()...)
	return append(env, "VERS_FLEET_HOME="+filepath.Join(dir, "state"), "VERS_FLEET_VM_GATEWAY="+way.gateway, "VERS_FLEET_SSH_SHARE=off")
}

// introduce lets vers-fleet record keys and host keys, as any earlier use of
// it has done. A failure shows again, with its words, when it is measured.
func (r *rig) introduce(ctx context.Context, way *road) {
	if r.noBin != nil {
		return
	}
	lists := [][]string{{"vms"}}
	for _, vm := range r.vms {
		lists = append(lists, []string{"ssh", vm.Name, "--", "true"})
	}
	for _, args := range lists {
		cmd := exec.CommandContext(ctx, r.binary, args...)
		cmd.Env = way.env
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(r.log, "vers-fleet %s: %v: %s\n", strings.Join(args, " "), err, lastLine(string(out)))
			return
		}
	}
}
