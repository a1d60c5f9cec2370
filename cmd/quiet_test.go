package cmd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim"
)

// net/http writes what a server says out of turn to the standard logger, as it
// came: stderr must not get it.
func TestLibrariesDoNotLog(t *testing.T) {
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	closed := make(chan struct{}) // the client has met the stray bytes
	go func() {
		for n := 0; ; n++ {
			c, err := api.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				if n > 0 {
					<-closed
					_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
					return
				}
				body := fmt.Sprintf(`[{"vm_id":%q,"state":"running"}]`, sim.MarketingID)
				_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sstray bytes", len(body), body)
				_, _ = io.Copy(io.Discard, r)
				close(closed)
			}()
		}
	}()
	p := program(t, "vms", "--api-url", "http://"+api.Addr().String())
	p.Env = append(p.Env, "VERS_API_KEY=k")
	var stderr bytes.Buffer
	p.Stderr = &stderr
	if err := p.Run(); err != nil {
		t.Errorf("%v, stderr %q", err, &stderr)
	}
	if strings.Contains(stderr.String(), "stray") {
		t.Errorf("stderr %q", &stderr)
	}
}
