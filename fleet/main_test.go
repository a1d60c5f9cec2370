package fleet_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if err := useTestNames(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "4") // what runs side by side mostly waits
	clean := useMemoryDisk()
	m.Run()
	clean()
}
