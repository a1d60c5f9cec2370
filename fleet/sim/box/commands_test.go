package box

import (
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	m := newMachine(t)
	setup := `cd /root && mkdir -p w/sub/deep w/empty && printf 'one\ntwo\nthree\n' > w/a.txt && printf abc > 'w/b c.txt' &&
		ln -s a.txt w/link && ln w/a.txt w/hard && printf '#!/bin/sh\necho ran $1\n' > w/run.sh && chmod 755 w/run.sh &&
		touch -d '2026-02-24 03:20:00.123456789' w/sub/t && printf x > w/sub/deep/x`
	if _, errOut, status := sh(t, m, setup); status != 0 || errOut != "" {
		t.Fatalf("setup: %d %s", status, errOut)
	}
	for _, c := range []struct{ name, command, want string }{
		{"echo", `echo hi "a  b" $((1+2))`, "hi a  b 3\n"},
		{"pwd", `pwd; cd /root/w; pwd`, "/root\n/root/w\n"},
		{"pwd physical", `ln -s w /root/pl; cd -- pl && pwd && pwd -P && cd -P / && pwd; rm /root/pl`, "/root/pl\n/root/w\n/\n"},
		{"cat several", `cat w/a.txt w/sub/deep/x`, "one\ntwo\nthree\nx"},
		{"ls", `ls -1 w`, "a.txt\nb c.txt\nempty\nhard\nlink\nrun.sh\nsub\n"},
		{"glob", `cd w; echo *.txt`, "a.txt b c.txt\n"},
		{"head n", `head -n 1 w/a.txt`, "one\n"},
		{"head c", `head -c 3 w/a.txt`, "one"},
		{"head minus", `head -n -1 w/a.txt`, "one\ntwo\n"},
		{"tail n", `tail -n 1 w/a.txt`, "three\n"},
		{"tail c", `tail -c 4 w/a.txt`, "ree\n"},
		{"tail plus c", `tail -c +5 w/a.txt`, "two\nthree\n"},
		{"tail plus n", `tail -n +2 w/a.txt`, "two\nthree\n"},
		{"tail pipe", `cat w/a.txt | tail -n 2`, "two\nthree\n"},
		{"tail more than all", `tail -n 9 w/a.txt`, "one\ntwo\nthree\n"},
		{"wc", `wc -c < w/a.txt; wc -l w/a.txt`, "14\n3 w/a.txt\n"},
		{"find", `find w -type f -name '*.txt' | sort`, "w/a.txt\nw/b c.txt\n"},
		{"find printf", `find w/sub -mindepth 1 -printf '%P %y %s %m\n'`, "deep d " + dirSize(t, m, "/root/w/sub/deep") + " 755\ndeep/x f 1 644\nt f 0 644\n"},
		{"find time", `find w/sub/t -printf '%T@\n'`, "1771903200.1234567890\n"},
		{"find prune", `find w -path w/sub -prune -o -type d -print`, "w\nw/empty\n"},
		{"find link", `find w -type l -printf '%p->%l\0' | od -A n -t x1 | head -c 9`, " 77 2f 6c"},
		{"find newer", `find w -newer w/sub/t -name x`, "w/sub/deep/x\n"},
		{"find exec", `find w -name a.txt -exec echo got {} \;`, "got w/a.txt\n"},
		{"find exec plus", `find w -name '*.txt' -exec echo {} +`, "w/a.txt w/b c.txt\n"},
		{"find empty", `find w -empty`, "w/empty\nw/sub/t\n"},
		{"find maxdepth", `find w -maxdepth 1 -type d ! -name w`, "w/empty\nw/sub\n"},
		{"stat", `stat -c '%n %s %a %F %Y' w/sub/t`, "w/sub/t 0 644 regular empty file 1771903200\n"},
		{"stat nanos", `stat -c %.9Y w/sub/t`, "1771903200.123456789\n"},
		{"stat link", `stat -c %F w/link; stat -L -c %F w/link`, "symbolic link\nregular file\n"},
		{"sha256sum", `sha256sum w/sub/deep/x`, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  w/sub/deep/x\n"},
		{"sha256sum z", `sha256sum -z w/sub/deep/x | tr '\0' '!'`, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  w/sub/deep/x!"},
		{"md5sum", `printf abc | md5sum`, "900150983cd24fb0d6963f7d28e17f72  -\n"},
		{"cksum", `printf abc | cksum`, "1219131554 3\n"},
		{"readlink", `readlink w/link; readlink -f w/link`, "a.txt\n/root/w/a.txt\n"},
		{"realpath", `cd w; realpath sub/../link`, "/root/w/a.txt\n"},
		{"basename", `basename /a/b.c .c; dirname /a/b.c`, "b\n/a\n"},
		{"cp r", `cp -r w w2 && ls w2 | wc -l; readlink w2/link; rm -rf w2`, "7\na.txt\n"},
		{"mv", `cp w/a.txt m1 && mv m1 m2 && cat m2 | head -n 1; rm m2`, "one\n"},
		{"dd", `dd if=w/a.txt bs=1 skip=4 count=3 status=none`, "two"},
		{"dd bytes", `dd if=w/a.txt bs=64k iflag=skip_bytes,count_bytes skip=4 count=3 status=none`, "two"},
		{"dd of", `printf XY | dd of=d bs=1 seek=2 conv=notrunc status=none; printf '<%s>' "$(tr '\0' . < d)"; rm d`, "<..XY>"},
		{"sort uniq", `printf 'b\na\nb\n' | sort | uniq -c`, "      1 a\n      2 b\n"},
		{"sort n", `printf '10\n9\n' | sort -n; printf '1\n2\n' | sort -rn`, "9\n10\n2\n1\n"},
		{"grep", `grep -n t w/a.txt; grep -c o w/a.txt; grep -q zz w/a.txt || echo none`, "2:two\n3:three\n2\nnone\n"},
		{"tr", `echo hello | tr a-z A-Z | tr -d L`, "HEO\n"},
		{"cut", `echo a:b:c | cut -d : -f 1,3`, "a:c\n"},
		{"tee", `echo x | tee t1 t2; cat t1 t2; rm t1 t2`, "x\nx\nx\n"},
		{"xargs", `printf 'a\0b c\0' | xargs -0 -n 1 echo item`, "item a\nitem b c\n"},
		{"xargs empty", `printf 'a\0\0b\0' | xargs -0 sh -c 'echo $# "$2."' sh`, "3 .\n"},
		{"printf precision", `printf '%s %.3s|' 1 abcdef 2 xy; printf '%.2f %5.1s.%%\n' 1.005 abc`, "1 abc|2 xy|1.00     a.%\n"},
		{"xargs I", `printf 'a\nb\n' | xargs -I % echo =%=`, "=a=\n=b=\n"},
		{"base64", `printf hello | base64; printf aGVsbG8= | base64 -d`, "aGVsbG8=\nhello"},
		{"seq", `seq 3; seq 5 -2 1`, "1\n2\n3\n5\n3\n1\n"},
		{"yes", `yes | head -n 2`, "y\ny\n"},
		{"env", `A=1 env | grep '^A='; env -i B=2 printenv`, "A=1\nB=2\n"},
		{"ids", `id -u; whoami; hostname; uname; nproc`, "0\nroot\nvm1\nLinux\n2\n"},
		{"date", `date -u -d @1771903200 +%Y-%m-%dT%H:%M:%SZ`, "2026-02-24T03:20:00Z\n"},
		{"sh c", `sh -c 'echo $0 $1; exit 0' name arg`, "name arg\n"},
		{"script", `w/run.sh you; sh w/run.sh me`, "ran you\nran me\n"},
		{"command v", `command -v tar; command -v rsync || echo no; command -v cd`, "/usr/bin/tar\nno\ncd\n"},
		{"type", `type -t cd; type -p cat`, "builtin\n/usr/bin/cat\n"},
		{"source", `echo 'V=7' > s; . ./s; echo $V; source /root/s; rm s`, "7\n"},
		{"tests", `[ -f w/a.txt ] && [ -d w ] && [ -L w/link ] && [ -x w/run.sh ] && [ ! -x w/a.txt ] && test -s w/a.txt && [ -O w ] && echo yes`, "yes\n"},
		{"devices", `echo gone > /dev/null; head -c 3 /dev/zero | wc -c; cat /dev/null`, "3\n"},
		{"streams", `echo in | cat /dev/stdin -`, "in\n"},
		{"umask trap", `umask 077; trap 'echo bye' EXIT INT; echo hi`, "hi\nbye\n"},
		{"timeout", `timeout 0.05 sleep 60; echo $?; timeout 5 echo ok`, "124\nok\n"},
		{"tmpdir", `echo ${TMPDIR:-/tmp}; f=$(mktemp) && test -f "$f" && rm "$f" && echo made`, "/tmp\nmade\n"},
		{"truncate", `truncate -s 1M big; stat -c %s big; rm big`, "1048576\n"},
		{"gzip", `printf hi | gzip -c | gzip -dc`, "hi"},
		{"here document", "cat <<EOF\nhome $HOME\nEOF\n", "home /root\n"},
		{"loop", `for f in w/*.txt; do echo "$f"; done; i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i`, "w/a.txt\nw/b c.txt\n3\n"},
		{"chmod symbolic", `cp w/a.txt c; chmod u+x,go-r c; stat -c %a c; rm c`, "700\n"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, m, c.command, c.want) })
	}
}

func dirSize(t *testing.T, m *Machine, dir string) string {
	t.Helper()
	out, _, _ := sh(t, m, "stat -c %s "+dir)
	return strings.TrimSpace(out)
}

func TestTar(t *testing.T) {
	m := newMachine(t)
	expect(t, m, `mkdir -p src/d/empty out && printf data > src/d/f && ln -s f src/d/l && ln src/d/f src/d/h && chmod 600 src/d/f &&
		tar -C src -cf - d | tar -C out -xf - && cat out/d/f && readlink out/d/l && stat -c '%a %h' out/d/f`, "dataf\n600 2\n")
	expect(t, m, `cd src && printf 'd/f\0d/l\0' | tar -cf - --null --no-recursion -T - | tar -tf -`, "d/f\nd/l\n")
	expect(t, m, `tar -czf a.tgz -C src . && tar -tzf a.tgz | sort | head -n 2`, "./\n./d/\n")
	out, errOut, status := sh(t, m, `tar -cf /dev/null missing`)
	if status != 2 || out != "" || !strings.Contains(errOut, "Cannot stat: No such file") {
		t.Errorf("missing member: %d %q %q", status, out, errOut)
	}
}

func TestRefusals(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		command, stderr string
		status          int
	}{
		{"python3 -c 1", "sh: python3: not available in the simulator", 127},
		{"/usr/bin/perl", "No such file", 127},
		{"ls --zap", "option --zap: not available in the simulator", 2},
		{"tail -y", "option -y: not available in the simulator", 1},
		{"find . -regex x", "predicate '-regex': not available in the simulator", 1},
		{"find . -printf %Q", "not available in the simulator", 1},
		{"cat nosuch", "cat: nosuch: No such file or directory", 1},
		{"cat /root", "Is a directory", 1},
		{"cd /nosuch", "", 1},
		{"exit 42", "", 42},
		{"if", "", 2},
		{"cat <(echo x)", "process substitution: not available", 2},
		{"eval 'cat <(echo x)'", "cannot create fifo", 0},
		{"printf '\\x7fELF\\0' > e; chmod +x e; ./e", "not available in the simulator", 126},
		{"printf '#!/usr/bin/python3\\n' > p; chmod +x p; ./p", "not available in the simulator", 127},
		{"rm -rf /", "refusing", 1},
		{"kill -9 1", "not available in the simulator", 127},
		{"f() { f; }; f", "nesting", 1},
		{"x=$(yes)", "", 141},
	} {
		_, errOut, status := sh(t, m, c.command)
		if status != c.status || !strings.Contains(errOut, c.stderr) {
			t.Errorf("%q: status %d, want %d; stderr %q, want %q", c.command, status, c.status, errOut, c.stderr)
		}
	}
}
