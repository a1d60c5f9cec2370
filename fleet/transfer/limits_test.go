//go:build unix

package transfer

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// farVM answers pings late, so that contents are compressed.
type farVM struct{ *evilVM }

func (vm farVM) Ping(context.Context) error {
	time.Sleep(2 * lowRTT)
	return nil
}

// compressed compresses what write writes.
func compressed(w io.Writer, write func(io.Writer)) {
	z, err := zstd.NewWriter(w)
	if err != nil {
		panic(err)
	}
	write(z)
	_ = z.Close()
}

// endlessZeros writes 4 GiB, or with -short 512 MiB.
func endlessZeros(w io.Writer) {
	block := make([]byte, 1<<20)
	blocks := 4 << 10
	if testing.Short() {
		blocks = 512
	}
	for range blocks {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// What is beyond a limit is told as that, at once: once each was taken for a
// connection that dropped, and tried eight times.
func TestLimitsAreToldAsLimits(t *testing.T) {
	const zstdTools = "find\x00gnu\x00sha256sum\x00zstd\x00dd tee\x00"
	for name, c := range map[string]struct {
		tools string
		evil  func(vm *evilVM)
		says  string
		kind  FailKind
	}{
		"a listing of nonsense": {evilTools, func(vm *evilVM) {
			vm.listing = func(w io.Writer) { endless(w, strings.Repeat("nonsense", 100)+"\x00") }
		}, "more than 16 MiB of it are no records", FailRemote},
		"a record without end": {evilTools, func(vm *evilVM) {
			vm.listing = func(w io.Writer) { endless(w, strings.Repeat("x", 1000)) }
		}, "a record of more than 4 MiB", FailRemote},
		"hard links without end": {evilTools, func(vm *evilVM) {
			vm.listing = func(w io.Writer) {
				_, _ = io.WriteString(w, "R0\x00")
				for i := 0; ; i++ {
					if _, err := fmt.Fprintf(w, "Ff 4 644 1700000000.5 1 7 9 8\x00\x00%0200d\x00", i); err != nil {
						return
					}
				}
			}
		}, "its folders, hard links and what is to be compared need more than 256 MiB here", FailRefused},
		"a listing that unpacks to zeros": {zstdTools, func(vm *evilVM) {
			vm.listing = func(w io.Writer) { compressed(w, endlessZeros) }
		}, "more than 16 MiB of it are no records", FailRemote},
		"contents that unpack to zeros": {zstdTools, func(vm *evilVM) {
			list := vm.listing
			vm.listing = func(w io.Writer) { compressed(w, list) }
			vm.tar = func(w io.Writer, _ <-chan string) { compressed(w, endlessZeros) }
		}, "", ""}, // the file is read by itself
		"a file that unpacks to zeros": {zstdTools, func(vm *evilVM) {
			list := vm.listing
			vm.listing = func(w io.Writer) { compressed(w, list) }
			vm.tar = func(w io.Writer, _ <-chan string) {
				compressed(w, func(z io.Writer) {
					_ = tar.NewWriter(z).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "/w/ok", Size: 4 << 30, Format: tar.FormatGNU})
					endlessZeros(z)
				})
			}
		}, "", ""}, // the file is read by itself
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vm := newEvil("")
			vm.tools = c.tools
			c.evil(vm)
			var dials atomic.Int64
			dial := func(context.Context) (Conn, error) { dials.Add(1); return farVM{vm}, nil }
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // 4 GiB take their time under the race detector
			defer cancel()
			// File systems have a limit of their own for links to one file: they are only counted.
			o := PullOptions{Paths: []string{"/w/"}, Dest: t.TempDir(), DryRun: c.kind == FailRefused}
			sum, err := Pull(ctx, Remote{Conn: farVM{vm}, Redial: dial}, o)
			check(t, err)
			last := FileError{}
			if n := len(sum.Failures); n > 0 {
				last = sum.Failures[n-1]
			}
			if dials.Load() > 0 || !strings.Contains(last.Reason, c.says) || last.Kind != c.kind || len(sum.Failures) > 2 {
				t.Errorf("%d dials, %d failures, the last %+v", dials.Load(), len(sum.Failures), last)
			}
		})
	}
}
