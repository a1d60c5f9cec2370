package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// errRefused is what a connection to a port without a listener gets.
var errRefused = errors.New("connection refused")

// dialFunc opens a connection to a listener inside a VM.
type dialFunc func() (io.ReadWriteCloser, error)

// virtualNet is a VM's loopback: ports and Unix sockets that exist only in
// the simulator. Its zero value has an echo service on port 7 and a web
// server on ports 80 and 8080.
type virtualNet struct {
	mu     sync.Mutex
	listen map[string]dialFunc // "tcp:80", "unix:/tmp/x.sock"
}

// add registers a listener and returns its key; port 0 takes a free one.
func (n *virtualNet) add(network, address string, dial dialFunc) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listen == nil {
		n.listen = make(map[string]dialFunc)
	}
	key := network + ":" + address
	if network == "tcp" && address == "0" {
		port := 40_000
		for n.listen["tcp:"+strconv.Itoa(port)] != nil {
			port++
		}
		key = "tcp:" + strconv.Itoa(port)
	}
	if n.listen[key] != nil || builtinService(key) != nil {
		return "", false
	}
	n.listen[key] = dial
	return key, true
}

func (n *virtualNet) remove(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listen, key)
}

func (n *virtualNet) dial(key string) (io.ReadWriteCloser, error) {
	n.mu.Lock()
	dial := n.listen[key]
	n.mu.Unlock()
	if dial != nil {
		return dial()
	}
	serve := builtinService(key)
	if serve == nil {
		return nil, errRefused
	}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		serve(there)
	}()
	return here, nil
}

// dialPort connects the VM's own commands to its loopback.
func (n *virtualNet) dialPort(_ context.Context, port int) (io.ReadWriteCloser, error) {
	return n.dial("tcp:" + strconv.Itoa(port))
}

// Listen lets fn serve connections to a port inside the VM; the returned
// function ends that. It fails if the port is taken.
func (vm *VM) Listen(port int, fn func(io.ReadWriteCloser)) (stop func(), err error) {
	key, ok := vm.net.add("tcp", strconv.Itoa(port), func() (io.ReadWriteCloser, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			fn(there)
		}()
		return here, nil
	})
	if !ok {
		return nil, fmt.Errorf("sim: port %d of the VM is taken", port)
	}
	return func() { vm.net.remove(key) }, nil
}

// builtinService is what listens in every VM.
func builtinService(key string) func(net.Conn) {
	switch key {
	case "tcp:7", "unix:/run/echo.sock":
		return func(c net.Conn) { _, _ = io.Copy(c, c) }
	case "tcp:80", "tcp:8080":
		return serveWeb
	}
	return nil
}

// serveWeb answers one HTTP request.
func serveWeb(c net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	body := "hello from a simulated VM: " + req.Method + " " + req.URL.Path + "\n"
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}
