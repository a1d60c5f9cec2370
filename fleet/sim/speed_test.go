package sim

import (
	"io"
	"testing"
	"time"
)

// TestThroughput moves 64 MiB out of a VM; the bar is low because the machine
// may be busy, but a byte-wise path would miss it.
func TestThroughput(t *testing.T) {
	before := time.Now()
	s := start(t, Config{Still: true})
	t.Logf("start: %s", time.Since(before))
	client := mustLogin(t, s, s.VM("marketing"))
	t.Logf("first login: %s", time.Since(before))
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := session.Start("head -c 67108864 /dev/zero"); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, out)
	took := time.Since(begin)
	t.Logf("%d bytes in %s: %.0f MB/s", n, took, float64(n)/1e6/took.Seconds())
	if err != nil || n != 64<<20 || took > 20*time.Second {
		t.Errorf("%d bytes, %v, %s", n, err, took)
	}
}
