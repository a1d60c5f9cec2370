package box

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/sim/executable"
)

// TestNoWayToTheHost tries every known way out of a VM. A folder outside the
// VM holds a secret that must not come out and files that must not change.
func TestNoWayToTheHost(t *testing.T) {
	m := newMachine(t)
	outside := t.TempDir()
	const secret = "the host's secret"
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(outside, "script.sh")
	if err := executable.Write(script, strings.NewReader("echo "+secret+"\n")); err != nil {
		t.Fatal(err)
	}
	// A symbolic link that somebody put into the VM's folder from outside.
	vm := m.FS.root.Name()
	if err := os.Symlink(outside, filepath.Join(vm, "root", "planted")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	rel := strings.Repeat("../", 12) + strings.TrimPrefix(outside, "/")
	for _, command := range []string{
		`cat OUT/secret`, `cat REL/secret`, `cat < OUT/secret`, `echo "$(< OUT/secret)"`, `echo $(cat OUT/secret)`,
		`cat planted/secret`, `cd planted && cat secret`, `cd OUT && cat secret`, `cd REL; cat secret`, `cd -P OUT; cat secret`,
		`ln -s OUT/secret l; cat l`, `ln -s REL/secret l2; cat l2`, `ln OUT/secret hard; cat hard`, `ln -s OUT d; cat d/secret; ls d`,
		`ls OUT`, `ls OUT/*`, `echo OUT/*`, `echo REL/*`, `find OUT`, `find REL -type f`, `find -H planted -printf '%P'`, `stat -c %n OUT/secret`,
		`. OUT/script.sh`, `source REL/script.sh`, `builtin source OUT/script.sh`, `command . OUT/script.sh`, `builtin builtin . OUT/script.sh`,
		`PATH=OUT source script.sh`, `PATH=OUT script.sh`, `OUT/script.sh`, `sh OUT/script.sh`, `bash REL/script.sh`, `exec OUT/script.sh`,
		`eval 'cat OUT/secret'`, `eval '. OUT/script.sh'`, `mapfile -t a < OUT/secret; echo "${a[@]}"`, `read x < OUT/secret; echo $x`,
		`/bin/cat OUT/secret`, `mv OUT/secret got; cat got`, `tar -C OUT -cf - .`, `tar -cf - OUT/secret`, `tar -cf - planted/`,
		`dd if=OUT/secret status=none`, `dd if=planted/secret of=got status=none; cat got`,
		`head -c 5 OUT/secret`, `sha256sum OUT/secret`, `grep . OUT/secret`, `printf 'OUT/secret' | xargs -0 cat`, `find . -exec cat OUT/secret {} +`,
		`command -v OUT/script.sh`, `type OUT/script.sh`, `PATH=OUT command -v script.sh`, `PATH=OUT type -p script.sh`,
		`PATH=OUT builtin command -v script.sh`, `PATH=OUT command command -v script.sh`, `[ -e OUT/secret ] && echo secret`,
		`[[ -r OUT/secret ]] && echo secret`, `test -x OUT/script.sh && echo secret`, `[ OUT/secret -nt /etc/hostname ] && echo secret`,
		`export TMPDIR=OUT; cat <(cat OUT/secret)`, `TMPDIR=OUT; eval 'cat <(echo hi)'`, `eval 'echo x > >(cat)'`,
		`echo ~+ ~/../../../OUT/secret`, `printf '%s' "$(cat /proc/self/environ)"`, `timeout 1 cat OUT/secret`,
		`trap '. OUT/script.sh' EXIT`, `f() { . OUT/script.sh; }; f`, `stat -L -c %n%s planted/secret`,
		`cat /proc/self/root/OUT/secret`, `PWD=LINK; pwd -P`, `PWD=LINK; builtin pwd -P`, `PWD=LINK command pwd -LP`, `PWD=LINK; command builtin pwd -P`,
		`cat /dev/fd/3`,
	} {
		command = strings.NewReplacer("OUT", outside, "REL", rel, "LINK", link).Replace(command)
		out, errOut, _ := sh(t, m, "cd /root; "+command)
		if strings.Contains(out, secret) || strings.Contains(errOut, secret) || strings.TrimSpace(out) == "secret" ||
			strings.Contains(out, outside+"/script.sh") || strings.TrimSpace(out) == outside {
			t.Errorf("%s: reads the host: %q %q", command, out, errOut)
		}
	}
	for _, command := range []string{
		`echo x > OUT/secret`, `echo x >> REL/secret`, `echo x > planted/secret`, `echo x &> OUT/new`, `touch OUT/new`, `touch planted/new`,
		`mkdir OUT/new`, `mkdir -p REL/new/dir`, `rm -rf OUT`, `rm -rf planted/`, `rm -rf planted/*`, `mv OUT/secret here`,
		`mv /etc/hostname OUT/new; echo vm1 > /etc/hostname`, `mv /etc/hostname planted/new; echo vm1 > /etc/hostname`, `ln /etc/hostname OUT/new`, `ln -s x OUT/new`,
		`ln -sf x planted/secret`, `ln -f /etc/hostname planted/secret`, `chmod 000 OUT/secret`, `chmod 777 planted/secret`,
		`dd if=/dev/zero of=OUT/secret count=1`, `dd if=/dev/null of=planted/secret`,
		`mkdir -p s/x && ln -s OUT s/x/l && tar -C s/x -cf - . | tar -xf - && echo y > l/secret`,
		`tar -cf - /etc/hostname | tar -C OUT -xf -`, `tar -cf - /etc/hostname | tar -C planted -xf -`, `touch -d @1 OUT/secret`,
	} {
		command = strings.NewReplacer("OUT", outside, "REL", rel).Replace(command)
		sh(t, m, "cd /root; "+command)
		checkUntouched(t, command, outside, secret)
		if _, err := os.Lstat(filepath.Join(vm, "root", "planted")); err != nil {
			_ = os.Symlink(outside, filepath.Join(vm, "root", "planted")) // the link itself is the VM's to remove
		}
	}
}

// checkUntouched fails if the outside folder is not exactly as it was made.
func checkUntouched(t *testing.T, command, outside, secret string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(outside, "secret"))
	if err != nil || string(data) != secret {
		t.Fatalf("%s: changed the host's file: %q %v", command, data, err)
	}
	fi, err := os.Stat(filepath.Join(outside, "secret"))
	if err != nil || fi.Mode().Perm() != 0o644 || fi.ModTime().Unix() == 1 {
		t.Fatalf("%s: changed the host's file: %v %v", command, fi, err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%s: changed the host's folder: %v %v", command, entries, err)
	}
}

func TestLinksStayInside(t *testing.T) {
	m := newMachine(t)
	expect(t, m, `mkdir -p a/b && echo in > a/b/f && ln -s /root/a/b abs && ln -s ../../../../../../etc/hostname climb &&
		ln -s loop loop && cat abs/f && cat climb && cd abs && cat ../../a/b/f && cat /../../etc/hostname`, "in\nvm1\nin\nvm1\n")
	if _, errOut, status := sh(t, m, "cat /root/loop"); status == 0 || !strings.Contains(strings.ToLower(errOut), "too many levels of symbolic links") {
		t.Errorf("loop: %d %q", status, errOut)
	}
	expect(t, m, `cd / && echo *; echo /etc/*`, "dev etc root tmp\n/etc/hostname\n")
}

func TestDiskIsLimited(t *testing.T) {
	m := newMachine(t)
	m.FS.free.Store(10)
	_, errOut, status := sh(t, m, "printf 0123456789abc > f")
	out, _, _ := sh(t, m, "cat f")
	if out != "0123456789" {
		t.Errorf("full disk: %q, status %d, %q", out, status, errOut)
	}
	if _, errOut, status := sh(t, m, "dd if=/etc/hostname of=g"); status == 0 || !strings.Contains(errOut, "No space left") {
		t.Errorf("dd on a full disk: %d %q", status, errOut)
	}
}
