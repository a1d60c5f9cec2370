package confine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain is the confined process too: it is for good, so each has its own.
func TestMain(m *testing.M) {
	if root := os.Getenv("VERS_FLEET_TEST_CONFINED"); root != "" {
		if err := confined(root); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// confined does in this process what must work, and what must not.
func confined(root string) error {
	in := func(path ...string) string { return filepath.Join(append([]string{root}, path...)...) }
	if err := Writes(in("mine"), in("new", "below"), in("receipt")); err != nil {
		return err
	}
	may := map[string]error{
		"write":        os.WriteFile(in("mine", "a"), nil, 0o600),
		"truncate":     os.Truncate(in("mine", "a"), 3),
		"make folders": os.MkdirAll(in("new", "below", "x"), 0o700),
		"rename":       os.Rename(in("mine", "a"), in("mine", "sub", "a")),
		"link":         os.Symlink("x", in("mine", "link")),
		"remove":       os.RemoveAll(in("mine", "sub")),
		"receipt":      os.WriteFile(in("receipt"), []byte("new"), 0o600),
		"null":         os.WriteFile("/dev/null", []byte("x"), 0o600),
		"read":         read(in("theirs")),
		"run":          exec.Command("true").Run(),
	}
	mayNot := map[string]error{
		"write":    os.WriteFile(in("theirs"), nil, 0o600),
		"truncate": os.Truncate(in("theirs"), 0),
		"make":     os.WriteFile(in("evil"), nil, 0o600),
		"folder":   os.Mkdir(in("evil"), 0o700),
		"link":     os.Symlink("x", in("evil")),
		"remove":   os.Remove(in("theirs")),
		"rename":   os.Rename(in("theirs"), in("mine", "theirs")),
		"shell":    exec.Command("sh", "-c", "echo x >"+in("evil")).Run(),
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range 50 { // on whatever thread
		wait.Go(func() {
			err := os.WriteFile(in("evil"+strings.Repeat("x", i)), nil, 0o600)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				mayNot["thread"] = nil
			}
		})
	}
	wait.Wait()
	var all []error
	for what, err := range may {
		if err != nil {
			all = append(all, errors.New(what+" should work: "+err.Error()))
		}
	}
	for what, err := range mayNot {
		if err == nil {
			all = append(all, errors.New(what+" should not work"))
		}
	}
	return errors.Join(all...)
}

func read(path string) error { _, err := os.ReadFile(path); return err }

// A process that is confined can change nothing but what it named, on any thread
// and by no child.
func TestWrites(t *testing.T) {
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1); errno != 0 || abi < 3 {
		t.Skipf("this kernel has no landlock that knows truncation (version %d, %v)", abi, errno)
	}
	root := t.TempDir()
	for _, dir := range []string{"mine/sub", "new"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"theirs", "receipt"} {
		if err := os.WriteFile(filepath.Join(root, file), []byte("keep"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "VERS_FLEET_TEST_CONFINED="+root)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(root, "theirs")); string(b) != "keep" {
		t.Errorf("theirs is %q, %v", b, err)
	}
}
