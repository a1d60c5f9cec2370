package sshconn

import (
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/agent"

	"github.com/vers-fleet/vers-fleet/fleet/sim/sshd"
)

func TestAgentForwarding(t *testing.T) {
	noLeaks(t)
	short, err := os.MkdirTemp("", "vf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	socket := filepath.Join(short, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: ed25519.NewKeyFromSeed(make([]byte, 32)), Comment: "from-here"}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _ = agent.ServeAgent(keys, c) }()
		}
	}()
	v := startVM(t, sshd.Options{})
	var out strings.Builder
	if err := v.dial(t).Run(t.Context(), RunOptions{Command: "ssh-add -l", AgentSocket: socket, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "from-here") {
		t.Error(out.String())
	}
	out.Reset()
	if err := v.dial(t).Run(t.Context(), RunOptions{Command: "ssh-add -l", Stdout: &out}); err == nil {
		t.Error("an agent is reachable without -A", out.String())
	}
	if err := v.dial(t).Run(t.Context(), RunOptions{Command: "true", AgentSocket: socket + "-none"}); !errors.Is(err, errNoAgent) {
		t.Error(err)
	}
}
