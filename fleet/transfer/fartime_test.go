//go:build unix

package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// farTimes are times of files, and what becomes of them.
func farTimes() map[string][2]unix.Timespec {
	last, first := unix.Timespec{Sec: 9223372036}, unix.Timespec{Sec: -9223372036}
	same := func(sec, nsec int64) [2]unix.Timespec {
		return [2]unix.Timespec{{Sec: sec, Nsec: nsec}, {Sec: sec, Nsec: nsec}}
	}
	return map[string][2]unix.Timespec{
		"2250": same(8836000000, 5), "1960": same(-315000000, 0), "1969": same(-2, 500000000), "1900": same(-2208988800, 250000000),
		"2300": {{Sec: 10413792000, Nsec: 7}, last}, "9999": {{Sec: 253402300799}, last}, "1600": {{Sec: -11676096000}, first},
	}
}

// makeFar makes files of such times, some of them large; touch of a busybox knows no
// time before 1970.
func makeFar(t *testing.T, folder string, large bool) {
	t.Helper()
	check(t, os.MkdirAll(folder, 0o755))
	for name, times := range farTimes() {
		at := filepath.Join(folder, name)
		content := name
		if name == "1960" && large || name == "2300" {
			content = strings.Repeat(name, largePush/4)
		}
		check(t, os.WriteFile(at, []byte(content), 0o644))
		check(t, unix.UtimesNanoAt(unix.AT_FDCWD, at, []unix.Timespec{times[0], times[0]}, 0))
		var st unix.Stat_t
		check(t, unix.Stat(at, &st))
		if st.Mtim != times[0] {
			t.Skip("the file system of the tests keeps no such times")
		}
	}
}

// gotFar checks the times of what arrived.
func gotFar(t *testing.T, folder string, grain time.Duration) {
	t.Helper()
	for name, times := range farTimes() {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(folder, name), &st); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ok := st.Mtim == times[1]
		if grain == time.Second { // whole seconds, of before 1970 either way
			ok = st.Mtim.Sec == times[1].Sec || st.Mtim.Sec == times[1].Sec+1
		}
		if !ok {
			t.Errorf("%s: %+v, not %+v", name, st.Mtim, times[1])
		}
	}
}

// Times far from now are kept as far as can be, and what has one is fetched and
// sent once.
func TestFarTimes(t *testing.T) {
	for _, kind := range []string{"gnu", "busybox", "bare", "sftp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			vm, here, grain := newVM(t, kind), t.TempDir(), time.Nanosecond
			if kind == "busybox" {
				grain = time.Second
			}
			for round, want := range []int{len(farTimes()), 0} {
				if round == 0 {
					makeFar(t, filepath.Join(here, "src"), kind != "busybox")
				}
				sum, err := pushTest(t, vm.remote(), PushOptions{Sources: []string{filepath.Join(here, "src") + "/"}, Dest: "in"})
				check(t, err)
				if sum.Files != int64(want) || sum.Failed > 0 {
					t.Errorf("push %d: %+v", round, sum)
				}
			}
			if kind == "sftp" { // which has 32 bits
				return
			}
			gotFar(t, vm.file("in"), grain)
			makeFar(t, vm.file("out"), true)
			for round, want := range []int{len(farTimes()), 0} {
				sum, err := pullTest(t, vm.remote(), PullOptions{Paths: []string{"out/"}, Dest: filepath.Join(here, "dest")})
				check(t, err)
				if sum.Files != int64(want) || sum.Failed > 0 {
					t.Errorf("pull %d: %s", round, fmt.Sprint(sum))
				}
			}
			gotFar(t, filepath.Join(here, "dest"), time.Nanosecond)
		})
	}
}
