package transfer

import (
	"fmt"
	"path"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// The commands of a push. Where stdin is more than a list of names, names come as
// one line of octal escapes (shellLine), which "read" takes byte by byte and
// printf decodes; nothing of a name is ever part of a command. What a command is
// about to remove or to unpack into must look like a partial folder.

// readName decodes a line of stdin into the shell variable n.
const readName = `read -r n || exit 9; n=$(printf "%b." "$n"); n=${n%.}; `

// shellLine encodes a name for readName.
func shellLine(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, `\0%03o`, name[i])
	}
	return b.String() + "\n"
}

// readPart reads the partial folder's name into p, absolute.
const readPart = readName + `case $n in */.vers-fleet-partial-*) ;; *) exit 9;; esac; case $n in /*) p=$n;; *) p=$PWD/$n;; esac; `

// setUnpack sets t to a tar that unpacks; it goes on with options.
const setUnpack = `t="tar -x -p -o"; case "$(tar --version 2>/dev/null)" in *"GNU tar"*) ` +
	`t="tar -x -p --no-same-owner --keep-directory-symlink --quoting-style=literal --warning=no-timestamp";; esac; `

// pushTarCmd unpacks a stream of tar in the partial folder and prints a hash of
// each file as it lies there. The first line is "z" for a stream that zstd has compressed, or "g"; then come the
// destination and the partial folder, both of which it makes (or ends with
// status 9), and how many names to hash per run of the tool. The archive's names
// begin with "t/"; tar says each before it unpacks it, so the last of a run must
// be of a file that does not matter. It ends with the status of tar.
const pushTarCmd = session.Pre + session.FindHash + `export h; read -r z || exit 9; ` +
	readName + `d=$n; ` + readPart + `read -r k || exit 9; ` + setUnpack +
	`mkdir -p -- "$d" "$p/t" && chmod 700 "$p" && cd "$p" || exit 9; ` +
	`u() { case $z in z) zstd -d -q -c | $t "$@";; *) $t "$@";; esac; }; ` +
	`if [ "$h" ]; then { u -v -f -; echo $? >"s$$"; } | tr "\n" "\0" | xargs -0 -n "$k" sh -c "` + hashSent + `" sh 2>/dev/null; ` +
	`read -r e <"s$$"; [ "$e" = 0 ]; else u -f -; fi` + session.Post

// hashSent hashes what tar says that it unpacks. A symlink may lead to what has no
// end; and a name of several lines is said line by line, of which none may be an
// option (with -out OpenSSL writes a file) or lie elsewhere.
const hashSent = `x=; for f do case \$f in t/*|pad|h|m) [ ! -L \"\$f\" ] || x=x;; *) x=x;; esac; done; ` +
	`[ ! \"\$x\" ] || for f do shift; case \$f in t/*|pad|h|m) [ -L \"\$f\" ] || set -- \"\$@\" \"\$f\";; esac; done; ` +
	`[ \$# = 0 ] || exec \$h \"\$@\"`

// pushRangeCmd writes ranges of large files. Of each it is told the name, and
// first block, number of full blocks, bytes after them; then come the bytes. It
// answers with a line that begins with the hash of that range as it lies on the
// disk, or "-". dd reads as much as it is to, and no more.
const pushRangeCmd = session.Pre + session.FindHash + `while read -r n; do n=$(printf "%b." "$n"); n=${n%.}; read -r b c r || exit 9; ` +
	`[ -d "${n%/*}" ] || mkdir -p -- "${n%/*}" || exit 9; ` +
	`e=$({ [ "$c" = 0 ] || dd of="$n" bs=262144 seek="$b" count="$c" iflag=fullblock conv=notrunc; } 2>&1 && ` +
	`{ [ "$r" = 0 ] || dd of="$n" ibs="$r" obs=262144 seek=$((b+c)) count=1 iflag=fullblock conv=notrunc; } 2>&1) || { printf "%s\n" "$e" >&2; exit 1; }; ` +
	`[ "$r" = 0 ] || c=$((c+1)); if [ "$h" ]; then dd if="$n" bs=262144 skip="$b" count="$c" 2>/dev/null | $h; else echo -; fi; done` + session.Post

// setMeta sets mode $b and time $c of $n, each unless it is "-". A busybox without
// fractions gets whole seconds.
const setMeta = `[ "$b" = - ] || chmod "$b" "$n"; ` +
	`[ "$c" = - ] || touch -d "$c" -- "$n" 2>/dev/null || touch -d "${c%.*}" -- "$n"; `

// pushPlaceCmd puts verified files in place: destination, partial folder,
// placeScript; then how many arguments that gets at a time, "r" if the partial
// folder is to be removed when all went well, and how many large files there are;
// of each of these where it lies and its name in the partial folder, and mode and
// time; then the arguments.
// Before that it unpacks in the partial folder the archives h (hard links) and m
// (modes and times of new folders). It prints H if the links cannot be made, and
// does nothing then; else what placeScript does, R if the partial folder is gone,
// and E.
const pushPlaceCmd = session.Pre + readName + `d=$n; ` + readPart + readName + `e=$n; read -r k r x || exit 9; ` + setUnpack +
	`while [ "$x" -gt 0 ]; do ` + readName + `f=$n; ` + readName + `read -r b c || exit 9; ` +
	`[ -d "${n%/*}" ] || mkdir -p -- "${n%/*}"; mv -f -- "$f" "$n"; ` + setMeta + `x=$((x-1)); done; ` +
	`[ ! -s "$p/h" ] || (cd "$p" && $t -f - <h) || { printf H; exit 0; }; ` +
	`[ ! -s "$p/m" ] || (cd "$p" && $t -f - <m); ` +
	`if xargs -0 -n "$k" sh -c "$e" sh && [ "$r" = r ]; then rm -rf -- "$p" && printf R; fi; printf E` + session.Post

// placeScript renames into one folder: the number of empty arguments that come
// next, then the folder they are in, the folder they go to (made if missing), mode
// and time that this gets in the end (or -), and names. It prints k if all is
// done, else for each name (or once if there is none) K done, D a folder is in the
// way, or why it failed (setWhy). To rename into a folder neither follows nor enters a symlink of
// the same name. A shell may run what is in a name that it is to reckon with.
const placeScript = setWhy + `[ $# -gt 0 ] || exit 0; case $1 in *[!0-9]*) exit 255;; esac; shift $(($1+1)); s=$1; d=$2; b=$3; c=$4; shift 4
case $d in /*) ;; *) d=$PWD/$d;; esac; n=$d
f() { [ $# -gt 0 ] || printf $w; for n do printf $w; done; exit 1; }
cd "$s" 2>/dev/null || [ $# = 0 ] || f "$@"
[ -d "$d" ] || { e=$(mkdir -p -- "$d" 2>&1) && chmod 700 "$d"; } || { w; f "$@"; }
if [ $# = 0 ] || e=$(mv -f -- "$@" "$d/" 2>&1); then printf k; x=0; else x=1; w
for i do
  if [ -e "$i" ] || [ -L "$i" ]; then if [ -d "$d/$i" ] && [ ! -L "$d/$i" ]; then printf D; else printf $w; fi
  elif [ -e "$d/$i" ] || [ -L "$d/$i" ]; then printf K; else printf F; fi
done; fi
` + setMeta + `exit $x`

// pushFileCmd writes stdin to the file named first, which is made anew: a command
// of a connection that dropped may still have the old one open.
const pushFileCmd = session.Pre + readName + `rm -f -- "$n"; exec cat >"$n"` + session.Post

// foldersScript makes folders; $1 is the mode of new ones, or - for the usual.
// It prints a letter for each: K there, M made, or why it failed (setWhy).
const foldersScript = setWhy + `m=$1; shift; for d do if [ -d "$d" ]; then printf K; ` +
	`elif e=$(mkdir -p -- "$d" 2>&1); then [ "$m" = - ] || chmod "$m" "$d"; printf M; else w; printf $w; fi; done`

// linksScript makes symlinks: pairs of target and name.
const linksScript = `while [ $# -gt 1 ]; do rm -f -- "$2"; if ln -s -- "$1" "$2" 2>/dev/null; then printf K; else printf F; fi; shift 2; done`

// hardScript makes hard links: pairs of a file and its further name.
const hardScript = `while [ $# -gt 1 ]; do if ln -f -- "$1" "$2" 2>/dev/null; then printf K; else printf F; fi; shift 2; done`

// metaScript sets mode and time: mode, time ("@seconds.fraction"), name.
const metaScript = `while [ $# -gt 2 ]; do b=$1; c=$2; n=$3; ` + setMeta + `printf K; shift 3; done`

// removeScript removes folders of unfinished transfers and what is in them.
const removeScript = `rm -rf -- "$@"; printf K`

// areasScript looks at the folders in which things are to be removed: the
// destination, then their names below it. It prints for each L it is a symlink, H the
// login folder is it or in it, K neither.
const areasScript = `o=$(pwd -P; echo x); o=${o%??}; d=$1; shift
for a do
  t=$(cd -- "$d" 2>/dev/null && cd -P -- "./$a" 2>/dev/null && pwd -P; echo x); t=${t%??}
  if [ "$a" ] && [ -L "${d%/}/$a" ]; then printf L
  elif [ ! "$t" ]; then printf K
  else case ${o%/}/ in "${t%/}"/*) printf H;; *) printf K;; esac; fi
done`

// pushDeleteCmd removes what is not wanted in the destination: that, deleteScript,
// and how many arguments this gets at a time; then the arguments.
const pushDeleteCmd = session.Pre + readName + `d=$n; ` + readName + `e=$n; read -r k || exit 9; cd -- "$d" || exit 9; ` +
	`xargs -0 -n "$k" sh -c "$e" sh || :` + session.Post

// deleteScript removes things of one folder: the number of empty arguments that come
// next, then the folder below the destination, f or d for folders, mode and time that
// the folder gets in the end, and names. It prints for each name K gone, or why not (setWhy). Of
// what was a folder when it was listed only an empty one is removed, and a folder
// that is reached through a symlink is none of the destination. The mode is changed
// only where it is in the way.
const deleteScript = setWhy + `[ $# -gt 0 ] || exit 0; case $1 in *[!0-9]*) exit 255;; esac; shift $(($1+1)); d=$1; k=$2; b=$3; c=$4; shift 4
f() { for n do printf F; done; exit 0; }
t=$(pwd -P; echo x); t=${t%??}; [ ! "$d" ] || t=${t%/}/$d
cd -P -- "./$d" 2>/dev/null || f "$@"
r=$(pwd -P; echo x); [ "${r%??}" = "$t" ] || f "$@"
if [ -w . ]; then b=-; else chmod u+w . 2>/dev/null; fi
e=$(if [ "$k" = d ]; then rmdir -- "$@"; else rm -f -- "$@"; fi 2>&1); w
for i do if [ -e "$i" ] || [ -L "$i" ]; then printf $w; else printf K; fi; done
n=.; { ` + setMeta + `} 2>/dev/null; exit 0`

// inBatches cuts things of one folder into runs whose names a process takes.
func inBatches[T any](items []T, rel func(T) string) (all [][]T) {
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && n < maxBatchNames && (n == 0 || size < maxBatchBytes) {
			size += len(path.Base(rel(items[n]))) + 1
			n++
		}
		all, items = append(all, items[:n]), items[n:]
	}
	return all
}
