package keystore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The tests below that kill, starve or disturb a writer run this test binary
// again as that writer: VERS_FLEET_TEST_CHILD says which, the rest are its
// arguments.
const childVariable = "VERS_FLEET_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childVariable); what != "" {
		os.Exit(child(strings.Split(what, " ")))
	}
	m.Run()
}

// childCommand runs the test binary as a child; wrapper is e.g. strace.
func childCommand(wrapper []string, args ...string) *exec.Cmd {
	argv := append(wrapper, os.Args[0], "-test.run=^$")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(args, " "), "GOMAXPROCS=2")
	cmd.Stderr = os.Stderr
	return cmd
}

func child(args []string) int {
	what, dir := args[0], args[1]
	switch what {
	case "umask":
		mask, err := strconv.ParseInt(args[2], 8, 32)
		if err != nil {
			return 1
		}
		setUmask(int(mask))
	case "once":
		return childOnce(dir, args[2])
	}
	options := testOptions()
	if what == "crypt" {
		options.IdentityFile = dir + "-both"
	}
	s, err := Open(dir, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch what {
	case "umask":
		_, err = s.PutKey(testID(1), testPEM("a"), KeyInfo{Source: "api"})
	case "write":
		err = childWrite(s, args[2], args[3])
	case "hold":
		_, err = s.Lock(context.Background(), "test", true)
		fmt.Println("held")
		if err == nil {
			time.Sleep(time.Hour)
		}
	case "rewrite":
		err = childRewrite(s, args[2])
	case "rewrite-quietly": // its disk is about to vanish
		os.Stderr.Close()
		err = childRewrite(s, args[2])
	case "crypt":
		err = childCrypt(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// childWrite puts n keys, one VM each.
func childWrite(s *Store, offset, n string) error {
	from, err := strconv.Atoi(offset)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	for i := from; i < from+count; i++ {
		if _, err := s.PutKey(testID(i), testPEM(testID(i)), KeyInfo{Source: "api"}); err != nil {
			return err
		}
		if err := s.PinHostKey(testID(i), testHostKey("shared"), false, nil); err != nil {
			return err
		}
	}
	return nil
}

const rewriteVMs = 3

func generation(vm, n int) []byte { return testPEM(fmt.Sprintf("vm %d key %d", vm, n)) }

// childRewrite replaces the keys of a few VMs over and over and prints each
// replacement once it is acknowledged: "<n>" means that key n of VM n%3 is
// safe. Between, it does everything else that writes.
func childRewrite(s *Store, from string) error {
	n, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	extra := testID(99)
	for ; ; n++ {
		vm := n % rewriteVMs
		if _, err := s.PutKey(testID(vm), generation(vm, n), KeyInfo{Source: "api"}); err != nil {
			return err
		}
		fmt.Println(n)
		public, err := testParse(generation(vm, n))
		if err != nil {
			return err
		}
		if n%4 == 0 {
			public = "" // a key that was never proved has another way to go
		}
		if err := s.Proved(testID(vm), public, Endpoint{Network: "tls", Address: fmt.Sprintf("h%d:443", n)}, testHostKey(fmt.Sprint(vm)), true); err != nil {
			return err
		}
		if _, err := s.PutKey(extra, testPEM("extra"), KeyInfo{Source: "api"}); err != nil {
			return err
		}
		if err := s.PinHostKey(extra, testHostKey(fmt.Sprint(n)), false, nil); err != nil {
			return err
		}
		if err := s.Folder("journal").Write(context.Background(), "c"+strconv.Itoa(n%2), []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		if err := s.PutInventory(Inventory{AsOf: time.Now()}); err != nil {
			return err
		}
		if err := s.Remove(extra); err != nil {
			return err
		}
	}
}

// childOnce does one thing between two marks that strace sees, on one thread,
// and reports through its exit code.
func childOnce(dir, what string) int {
	runtime.LockOSThread()
	os.Lstat("/vers-fleet-test-begin")
	s, err := Open(dir, testOptions())
	if err == nil {
		switch what {
		case "new":
			_, err = s.PutKey(testID(7), testPEM("new"), KeyInfo{Source: "api"})
		case "change":
			_, err = s.PutKey(testID(1), testPEM("second"), KeyInfo{Source: "api"})
		case "pin":
			err = s.PinHostKey(testID(1), testHostKey("later"), true, nil)
		case "doc":
			err = s.Doc("names").Update(context.Background(), func([]byte) ([]byte, error) { return []byte("new"), nil })
		}
	}
	os.Lstat("/vers-fleet-test-end")
	switch KindOf(err) {
	case "":
		if err != nil {
			return childOdd
		}
		return 0
	case KindFull:
		return childFull
	case KindIO:
		return childIO
	}
	fmt.Fprintln(os.Stderr, err)
	return childOdd
}

const (
	childFull = 70
	childIO   = 71
	childOdd  = 72
)

// startChild starts a child and returns the lines of its output.
func startChild(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := childCommand(nil, args...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd, bufio.NewScanner(out)
}

// childCrypt encrypts, rekeys, changes a key and decrypts, over and over. The
// identities are files beside the store.
func childCrypt(s *Store) error {
	ctx := context.Background()
	for {
		enc, err := s.readConfig()
		if err != nil {
			return err
		}
		file := s.Dir() + "-identity" + strconv.Itoa(int(time.Now().UnixNano()%2))
		switch {
		case enc.Mode == modePlain && !enc.Changing:
			err = s.Encrypt(ctx, EncryptOptions{IdentityFile: file})
		case time.Now().UnixNano()%3 == 0:
			err = s.Decrypt(ctx, nil)
		case enc.Mode == modePlain:
			err = s.Decrypt(ctx, nil)
		default:
			err = s.Rekey(ctx, EncryptOptions{IdentityFile: file})
		}
		if err != nil {
			return err
		}
		fmt.Println("done")
	}
}
