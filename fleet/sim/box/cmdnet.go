package box

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// dial connects to a port of the VM itself; there is no other network.
func (c *cmd) dial(host, port string) (io.ReadWriteCloser, error) {
	if host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return nil, fmt.Errorf("%s: not available in the simulator: a VM has no network but its own loopback", host)
	}
	n, err := strconv.Atoi(port)
	if err != nil || c.m.Dial == nil {
		return nil, fmt.Errorf("%s: connection refused", port)
	}
	return c.m.Dial(c.ctx, n)
}

func cmdNc(c *cmd) int {
	f, rest, ok := c.parse("zNw:qv")
	if !ok {
		return 1
	}
	if len(rest) != 2 {
		return c.failf("need a host and a port")
	}
	conn, err := c.dial(rest[0], rest[1])
	if err != nil {
		return c.failf("%v", err)
	}
	defer conn.Close()
	if f.on("z") {
		return 0
	}
	go func() {
		_, _ = io.Copy(conn, c.in)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(c.out, conn) // ends with the other side
	return 0
}

func cmdCurl(c *cmd) int {
	f, rest, ok := c.parse("sfSLo:k", "silent=s", "fail=f", "show-error=S", "output:=o")
	if !ok {
		return 2
	}
	if len(rest) != 1 {
		return c.failf("need one URL")
	}
	u, err := url.Parse(rest[0])
	if err != nil || u.Scheme != "http" || f.on("o") {
		return c.failf("only plain GET of http URLs: available in the simulator")
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	conn, err := c.dial(u.Hostname(), port)
	if err != nil {
		c.failf("(7) %v", err)
		return 7
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return 55
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 52
	}
	defer resp.Body.Close()
	if f.on("f") && resp.StatusCode >= 400 {
		c.failf("(22) The requested URL returned error: %d", resp.StatusCode)
		return 22
	}
	_, _ = io.Copy(c.out, resp.Body)
	return 0
}
