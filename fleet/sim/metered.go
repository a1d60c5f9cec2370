package sim

import (
	"errors"
	"net"
	"strconv"
	"sync/atomic"
)

// meteredConn is reset after limit bytes in both directions together, if a
// limit is set.
type meteredConn struct {
	net.Conn
	limit atomic.Int64 // 0: none
	used  atomic.Int64
}

// NetConn gives access to the TCP connection below.
func (m *meteredConn) NetConn() net.Conn { return m.Conn }

func (m *meteredConn) count(n int) error {
	limit := m.limit.Load()
	if limit > 0 && m.used.Add(int64(n)) > limit {
		abort(m.Conn)
		return net.ErrClosed
	}
	return nil
}

func (m *meteredConn) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if cut := m.count(n); cut != nil {
		return 0, cut
	}
	return n, err
}

func (m *meteredConn) Write(p []byte) (int, error) {
	if err := m.count(len(p)); err != nil {
		return 0, err
	}
	return m.Conn.Write(p)
}

// plainListener is a VM's SSH port without TLS.
type plainListener struct {
	net.Listener
	ip   string
	port int
}

// ListenSSH opens a plain TCP port on loopback that leads to this VM's SSH
// server, as ip and ssh_port do inside the platform's network; from then on
// the API's answers name it. It returns the port's address.
func (vm *VM) ListenSSH() (string, error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.plain != nil {
		return vm.plain.Addr().String(), nil
	}
	host, _, err := net.SplitHostPort(vm.sim.gateway.addr())
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	if !vm.sim.gateway.acceptPlain(l, vm) {
		return "", errors.Join(errEnded, l.Close())
	}
	vm.plain = &plainListener{Listener: l, ip: host, port: number}
	return l.Addr().String(), nil
}
