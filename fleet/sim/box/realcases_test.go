//go:build unix

package box

import (
	"slices"
	"strings"
)

// realCase is one command line that a VM and this machine must answer alike:
// the same output and status, complaints or none, and the same files left.
type realCase struct {
	name, command, stdin string
	how                  comparison
}

// comparison says what is particular about a case.
type comparison int

const (
	plain   comparison = iota
	sorted             // the order of the lines is not promised
	changes            // files are changed: both work on a tree of their own
	archive            // the output is a tar archive
	asRoot             // the output tells owners
)

// realCases go through every command that a VM has, and every option of it.
// What depends on the machine or the hour (date, uptime, df, hostname, tmux) is
// looked at in commands_test.go.
func realCases() []realCase {
	return slices.Concat(readerCases(), listingCases(), changeCases(), runnerCases(), shellCases())
}

func readerCases() []realCase {
	return []realCase{
		{name: "cat", command: `cat a.txt sub/deep/x ./-dash`},
		{name: "cat stdin", command: `cat`, stdin: "in\x00put"},
		{name: "cat stdin between", command: `cat a.txt - noend`, stdin: "middle\n"},
		{name: "cat option end", command: `cat -- -dash "b c.txt"`},
		{name: "cat missing", command: `cat nosuch a.txt`},
		{name: "cat folder", command: `cat sub`},
		{name: "head", command: `head big.txt`},
		{name: "head lines", command: `head -n 2 a.txt; head -n2 <a.txt`},
		{name: "head no lines", command: `head -n 0 a.txt; head -c 0 a.txt`},
		{name: "head bytes", command: `head -c 5 a.txt`},
		{name: "head more than all", command: `head -c 500 noend; head -n 500 noend`},
		{name: "head leaves the rest", command: `{ dd bs=4 count=1 2>/dev/null; echo; head -c 6; } <a.txt`},
		{name: "head missing", command: `head nosuch`},
		{name: "head wrong number", command: `head -n x a.txt`},
		{name: "tr", command: `tr -d "\0"`, stdin: "a\x00b\x00\n"},
		{name: "tr but", command: `tr -dc "\012" | wc -c`, stdin: "a\x00b\n\n"},
		{name: "tr several", command: `tr -d 'to\n' <a.txt`},
		{name: "tr translates", command: `tr '{o' '\012.' <a.txt; tr '{' '\012'`, stdin: `{"a":{"b":1}}`},
		{name: "wc", command: `wc -l big.txt; wc -c big.txt; wc -l <noend; wc -c`, stdin: "12345"},
		{name: "wc missing", command: `wc -l nosuch`},
		{name: "grep texts", command: `grep -Fc -e 't.*' -e 'ee' a.txt; grep -F wo a.txt`},
		{name: "grep", command: `grep t a.txt; grep -e one -e three a.txt`},
		{name: "grep none", command: `grep zz a.txt`},
		{name: "grep count", command: `grep -c t a.txt; grep -c zz a.txt`},
		{name: "grep stdin", command: `grep -c -e '"a":1' -e '"a": 1'`, stdin: "{\"a\":1}\n{\"a\": 1}\n{\"a\":2}\n"},
		{name: "grep basic expressions", command: `grep 'o\|ee$' a.txt; grep 't+' a.txt; grep '^t.*e' a.txt`},
		{name: "grep no newline at the end", command: `grep end noend`},
		{name: "grep missing", command: `grep x nosuch`},
		{name: "sha256sum", command: `sha256sum a.txt "b c.txt" empty.txt`},
		{name: "sha256sum stdin", command: `sha256sum; sha256sum - <a.txt`, stdin: "abc"},
		{name: "sha256sum odd names", command: `sha256sum 'new
line' 'back\slash'`},
		{name: "sha256sum missing", command: `sha256sum nosuch a.txt; sha256sum sub`},
		{name: "dd", command: `dd if=big.txt bs=100 skip=2 count=3 2>/dev/null`},
		{name: "dd to the end", command: `dd if=big.txt bs=65536 skip=0 2>/dev/null | sha256sum`},
		{name: "dd past the end", command: `dd if=a.txt bs=100 skip=5 status=none`},
		{name: "dd stdin", command: `dd bs=2 skip=1 count=2 status=none`, stdin: "0123456789"},
		{name: "dd one after the other", command: `exec <big.txt; i=0; while [ $i -lt 3 ]; do dd bs=1000 count=1 2>/dev/null | sha256sum; i=$((i+1)); done`},
		{name: "dd missing", command: `dd if=nosuch status=none`},
		{name: "dd count 0", command: `dd if=a.txt count=0 status=none`},
		{name: "yes", command: `yes | head -n 3`},
		{name: "readlink", command: `readlink link dangling; readlink -- link`},
		{name: "readlink no link", command: `readlink a.txt link nosuch`},
		{name: "tar", command: `tar -cf - a.txt hard "b c.txt" link fifo run.sh`, how: archive},
		{name: "tar folder", command: `tar cf - sub empty`, how: archive},
		{name: "tar elsewhere", command: `tar -C sub -cf - deep`, how: archive},
		{name: "tar long name", command: `tar -cf - ` + longName, how: archive},
		{name: "tar missing", command: `tar -cf - nosuch a.txt`, how: archive},
		{name: "tar nothing", command: `tar -cf -`},
	}
}

func listingCases() []realCase {
	return []realCase{
		{name: "ls", command: `ls; ls -1`},
		{name: "ls all", command: `ls -a; ls -A`},
		{name: "ls completion", command: `ls -1Ap -- .; ls -1Ap -- sub/`},
		{name: "ls files and folders", command: `ls sub a.txt empty link`},
		{name: "ls missing", command: `ls -1Ap -- nosuch/; ls nosuch a.txt`},
		{name: "ls link to a folder", command: `ls linkdir; ls -l linkdir/ | head -n 1`},
		{name: "ls long", command: `ls -l; ls -la sub; ls -lA a.txt link`, how: asRoot},
		{name: "ls long numbers", command: `ls -n a.txt; ls -Liln link a.txt`, how: asRoot},
		{name: "ls inodes", command: `ls -i; ls -iL link`},
		{name: "find", command: `find .; find sub empty`, how: sorted},
		{name: "find trailing slash", command: `find sub/ ./; find sub/.`, how: sorted},
		{name: "find details", command: `find . -printf '%y %s %m %T@ %D %i %n %b %l %P %p %%\n'`, how: sorted},
		{name: "find NUL", command: `find -H sub -printf "F%y %s\0%P\0"`, how: sorted},
		{name: "find named link", command: `find linkdir -printf '%y %p\n'; find -H linkdir -printf '%y %p\n'`, how: sorted},
		{name: "find dangling link", command: `find -H dangling -printf '%y %p\n'`},
		{name: "find depth", command: `find . -maxdepth 1; find . -maxdepth 0; find /dev/null -maxdepth 0 -printf ""`, how: sorted},
		{name: "find type", command: `find . -type f; find . -type d; find . -type l; find . -type p`, how: sorted},
		{name: "find name", command: `find . -name x -type f; find . -name nosuch; find . -name .hidden -print`, how: sorted},
		{name: "find print", command: `find sub -print0`, how: sorted},
		{name: "find exec", command: `find sub -type f -exec printf '<%s>\n' {} +`, how: sorted},
		{name: "find exec fails", command: `find sub -type f -exec false {} +`},
		{name: "find exec nothing", command: `find sub -name nosuch -exec echo {} +`},
		{name: "find missing", command: `find nosuch; find -H nosuch sub/deep`},
		{name: "stat", command: `stat -c '%n %s %b %i %d %h %f %a %Y %y %%' a.txt sub link fifo run.sh sticky`},
		{name: "stat follows", command: `stat -L -c '%n %f %s' link linkdir`},
		{name: "stat missing", command: `stat -c %s -- nosuch a.txt; stat -L -c %s dangling`},
	}
}

func changeCases() []realCase {
	return []realCase{
		{name: "mkdir", command: `mkdir new "with space"`, how: changes},
		{name: "mkdir there already", command: `mkdir sub other`, how: changes},
		{name: "mkdir below nothing", command: `mkdir no/such`, how: changes},
		{name: "mkdir parents", command: `mkdir -p -- x/y/z sub/deep sub/new`, how: changes},
		{name: "mkdir parents over a file", command: `mkdir -p a.txt/x`, how: changes},
		{name: "rm", command: `rm a.txt link "b c.txt"`, how: changes},
		{name: "rm missing", command: `rm nosuch empty.txt`, how: changes},
		{name: "rm folder", command: `rm sub empty`, how: changes},
		{name: "rm by force", command: `rm -f nosuch a.txt; rm -f; rm -f -- -dash`, how: changes},
		{name: "rm recursive", command: `rm -r sub linkdir; rm -rf -- empty nosuch`, how: changes},
		{name: "rmdir", command: `mkdir e2; rmdir empty -- e2; rmdir sub; rmdir link a.txt nosuch; rmdir linkdir`, how: changes},
		{name: "touch", command: `touch -d '@1700000000.123456789' a.txt sub`, how: changes},
		{name: "touch date", command: `touch -d 2019-03-04T05:06:07.25Z -- -dash; touch -d '2019-03-04 05:06:07' sub/t`, how: changes},
		{name: "touch through a link", command: `touch -d @1600000000 link`, how: changes},
		{name: "touch nonsense", command: `touch -d nonsense a.txt`, how: changes},
		{name: "touch new", command: `touch fresh && test -f fresh; touch no/such`, how: changes},
		{name: "ln", command: `ln a.txt another; ln -s nowhere dang; ln -s -- -dash l2`, how: changes},
		{name: "ln there already", command: `ln -s x link; ln a.txt run.sh`, how: changes},
		{name: "ln by force", command: `ln -sf new link; ln -f a.txt run.sh; ln -f -- nosuch run.sh`, how: changes},
		{name: "ln into a folder", command: `ln -s ../a.txt sub; ln a.txt empty`, how: changes},
		{name: "ln missing", command: `ln nosuch x`, how: changes},
		{name: "chmod", command: `chmod 600 a.txt; chmod 1755 sub; chmod 0640 link; chmod -- 700 -dash`, how: changes},
		{name: "chmod plus", command: `chmod +x a.txt; chmod +rx empty`, how: changes},
		{name: "chmod missing", command: `chmod 600 nosuch a.txt`, how: changes},
		{name: "chmod nonsense", command: `chmod 99 a.txt`, how: changes},
		{name: "mv", command: `mv a.txt moved; mv sub renamed`, how: changes},
		{name: "mv over", command: `mv -f -- a.txt run.sh`, how: changes},
		{name: "mv into a folder", command: `mv a.txt sub; mv empty sub`, how: changes},
		{name: "mv several", command: `mv -f -- a.txt noend empty sub/; mv nosuch big.txt sub`, how: changes},
		{name: "mv several to a file", command: `mv run.sh noend a.txt`, how: changes},
		{name: "mv missing", command: `mv nosuch x`, how: changes},
		{name: "mv folder into itself", command: `mv sub sub/deep`, how: changes},
		{name: "dd to a file", command: `dd if=big.txt of=part bs=100 count=2 status=none; dd if=a.txt of=run.sh status=none`, how: changes},
		{name: "tar extract", command: `mkdir out; cd out && tar -x -p -o -f -`, stdin: tarball(), how: changes},
		{name: "tar extract and tell", command: `mkdir out; tar -cf - a.txt link empty | (cd out && tar -x -p -o -v -f -)`, how: changes},
		{name: "tar extract over", command: `tar xpf - -C sub`, stdin: tarball(), how: changes},
		{name: "tar nonsense", command: `tar -xf -`, stdin: strings.Repeat("no archive", 100), how: changes},
		{name: "redirections", command: `echo x >n; echo y >>n; cat <n; echo z 2>/dev/null >&2; : >a.txt; cat nosuch 2>err || echo no`, how: changes},
		{name: "umlauts", command: `echo x >"ü ñ"; cat "ü ñ"; rm "ü ñ"`, how: changes},
	}
}

func runnerCases() []realCase {
	return []realCase{
		{name: "xargs", command: `xargs -0 printf '<%s>'`, stdin: "a\x00b c\x00\x00d\ne"},
		{name: "xargs few at once", command: `xargs -0 -n 2 echo item`, stdin: "1\x002\x003\x004\x005\x00"},
		{name: "xargs echo", command: `xargs -0`, stdin: "a\x00b\x00"},
		{name: "xargs nothing", command: `xargs -0 echo none; xargs -0 -n 1 echo none`},
		{name: "xargs shell", command: `xargs -0 sh -c 'echo "$0 $# $2"' sh`, stdin: "a\x00b  b\x00"},
		{name: "xargs input is not the command's", command: `xargs -0 -n 1 cat -`, stdin: "a.txt\x00"},
		{name: "xargs more than fits", command: `xargs -0 sh -c 'echo $#' sh | { n=0; while read -r k; do n=$((n+k)); done; echo $n; }`,
			stdin: strings.Repeat("a name of some length\x00", 20_000)},
		{name: "xargs failures", command: `xargs -0 -n 1 sh -c '[ "$0" != b ]'`, stdin: "a\x00b\x00c\x00"},
		{name: "xargs stops", command: `xargs -0 -n 1 sh -c 'echo "$0"; exit 255'`, stdin: "a\x00b\x00"},
		{name: "xargs no such command", command: `xargs -0 -n 1 nosuchcommand`, stdin: "a\x00b\x00"},
		{name: "timeout", command: `timeout 20 echo in time; timeout 20 sh -c 'exit 3'`},
		{name: "timeout over", command: `timeout 0.05 sleep 20`},
		{name: "timeout usage", command: `timeout x true`},
		{name: "sleep", command: `sleep 0 && echo awake; sleep x`},
		{name: "sh", command: `sh -c 'echo "$0 $1 $#"; exit 4' name "an arg"`},
		{name: "sh options", command: `sh -ec 'false; echo not here'; echo $?; sh -uc 'echo ${nosuch}' || echo no`},
		{name: "sh script", command: `sh run.sh me; ./run.sh you; sh -e run.sh`},
		{name: "sh stdin", command: `sh`, stdin: "echo from stdin\nexit 5\n"},
		{name: "sh environment", command: `A=1; export B=2; C=3 sh -c 'echo "$A$B$C"'`},
		{name: "command", command: `command -v cd >/dev/null && command -v tar >/dev/null && echo yes; command -v nosuchcommand || echo no`},
		{name: "no such command", command: `nosuchcommand; echo $?; ./nosuch; echo $?`},
		{name: "not a program", command: `./a.txt; echo $?`},
	}
}

// shellCases are what this project's own scripts need of a shell.
func shellCases() []realCase {
	return []realCase{
		{name: "printf", command: `printf '%s %.3s|%5.1s.%%\n' 1 abcdef abc; printf 'a\0b\tc\n'; printf '%s\n' a b c; printf '\033[1m'`},
		{name: "printf octal", command: `n=$(printf "%b." '\0141\0134\0101b'); echo "${n%.}"`},
		{name: "tests", command: `for f in a.txt sub link dangling fifo nosuch run.sh empty.txt; do for t in e f d L x s r p h; do [ -$t $f ] && printf "$t"; done; echo " $f"; done`},
		{name: "test strings", command: `[ "" ] || echo empty; [ -n x ] && [ -z "" ] && [ a != b ] && [ 3 -gt 2 ] && ! [ 1 -eq 2 ] && echo all`},
		{name: "read", command: `while read -r z && [ "$z" = p ]; do printf p; done; read -r n; echo "$z:$n"; cat`, stdin: "p\np\ng\n12\nrest\nof it\n"},
		{name: "loops", command: `i=0; while :; do i=$((i+1)); [ $i -lt 3 ] || break; continue; done; for f in *.txt; do echo "$f"; done; echo $i`},
		{name: "arithmetic", command: `s=200000; echo $(( (s - 5) / 65536 * 65536 )) $((7%3)) $((-1))`},
		{name: "functions", command: `f() { echo "$1 $#"; return 3; }; f a b; echo $?; set -- x y z; shift 2; echo "$1 $#"`},
		{name: "case", command: `for x in GNU plain z; do case "$x" in *N*|q) echo one;; p*) echo two;; *) echo three;; esac; done`},
		{name: "expansions", command: `v=a.b.c; echo "${v%.*} ${v##*.} ${v#a} ${nope:-d} ${v:+set} ${#v}"; echo "$(echo "in $(echo inner)")"`},
		{name: "here document", command: "cat <<EOF\nx $((1+1))\nEOF\ncat <<'EOF'\n$HOME\nEOF\n"},
		{name: "pipes", command: `{ echo a; echo b >&2; } 2>&1 | { read -r x; echo "got $x"; cat; }; false | true && echo last`},
		{name: "exit", command: `(exit 3); echo $?; true && exit 9; echo not here`},
		{name: "and or", command: `false && echo no || echo yes; ! false; echo $?`},
		{name: "exec", command: `exec printf '%s' done`},
		{name: "cd", command: `cd sub && echo * && cd .. && cd linkdir && echo *; cd nosuch || echo no`},
		{name: "pwd", command: `cd linkdir; a=$(pwd -P; echo x); cd ..; cd -P -- ./sub; b=$(pwd -P; echo x); [ "$a" = "$b" ] && echo same; case $b in */sub*x) echo there;; esac`},
		{name: "source", command: `. ./vars; echo "$SOURCED"`},
		{name: "trap", command: `trap 'echo bye' EXIT; echo hi`},
		{name: "syntax error", command: `if`},
	}
}
