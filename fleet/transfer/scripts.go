package transfer

// The commands that run on the VM. Each is a constant; names and numbers reach
// them by stdin, separated by NUL (xargs -0 exists in GNU findutils and in
// busybox). Each first prints ready, so that whatever a .bashrc prints before it
// can be told from the answer.

// ready precedes every answer.
const ready = "\n@vers-fleet-ready@\x00"

// sayReady prints ready from a shell.
const sayReady = `printf "\n@vers-fleet-ready@\0"; `

// pre and post wrap a script for any login shell (csh and fish included).
const (
	pre  = `exec sh -c 'export LC_ALL=C TAR_OPTIONS=; ` + sayReady
	post = `'`
)

// useHash sets h to a command that prints a SHA-256 of stdin. OpenSSL is about
// three times as fast as coreutils' own code and six times busybox's.
const useHash = `if command -v openssl >/dev/null 2>&1; then h="openssl dgst -sha256 -r"; ` +
	`elif command -v sha256sum >/dev/null 2>&1; then h=sha256sum; else h=; fi; `

// runSh takes a script and its arguments as items of stdin.
const runSh = pre + `exec xargs -0 sh -c` + post

// listScript prints "P", what the VM has, then each root: "R<number>", its
// items, "E<status of find>"; or "M<number>" if there is none. What follows "P" is
// compressed if the VM has zstd: TCP begins so slowly that the listing of 10,000
// files (1.3 MB) would take six round trips. $1 and $2 are
// linkScript and statScript, $3 statScript following links.
const listScript = useHash + `
l=stat; find /dev/null -maxdepth 0 -printf "" 2>/dev/null && l=find
t=none
if command -v tar >/dev/null 2>&1; then t=plain; case "$(tar --version 2>/dev/null)" in *"GNU tar"*) t=gnu;; esac; fi
z=none; command -v zstd >/dev/null 2>&1 && ` + zstdTool + ` </dev/null >/dev/null 2>&1 && z=zstd
d=none; command -v dd >/dev/null 2>&1 && d=dd
command -v tee >/dev/null 2>&1 && [ -e /dev/fd/1 ] && d="$d tee"
printf "P\0%s\0%s\0%s\0%s\0%s\0" "$l" "$t" "${h:-none}" "$z" "$d"
links=$1; items=$2; top=$3; shift 3
all() { i=0; for r do
  if [ ! -e "$r" ] && [ ! -L "$r" ]; then printf "M%s\0" "$i"
  else
    printf "R%s\0" "$i"
    if [ $l = find ]; then
      find -H "$r" -printf "F%y %s %m %T@ %D %i %n %b\0%l\0%P\0"; s=$?
    elif [ -d "$r" ]; then
      find "$r/." -type l -exec sh -c "$links" sh {} + ; s=$?
      find "$r/." -exec sh -c "$items" sh {} + || s=1
    else
      sh -c "$top" sh "$r"; s=$?
    fi
    printf "E%s\0" "$s"
  fi
  i=$((i+1))
done; }
if [ $z = zstd ]; then all "$@" | ` + zstdTool + `; else all "$@"; fi`

// linkScript prints "L", name, target of each symlink.
const linkScript = `for f do printf "L\0%s\0" "$f"; readlink -- "$f"; printf "\0"; done`

// statScript prints "B", the names, an empty item, and stat's lines for them
// as one item (a name is at the end of its line, and may hold newlines; the
// reader knows the names).
const statScript = `printf "B\0"; printf "%s\0" "$@"; printf "\0"; ` +
	`stat -c "%f %s %Y %y %d %i %h %b %n" -- "$@" 2>/dev/null; printf "\0"`

const statTopScript = `printf "B\0"; printf "%s\0" "$@"; printf "\0"; ` +
	`stat -L -c "%f %s %Y %y %d %i %h %b %n" -- "$@" 2>/dev/null; printf "\0"`

// tarCmd streams the files named on stdin. It answers lines "p" on stdin with a
// byte (a ping); the next line is "g" for GNU
// tar, "z" to compress that with zstd, "x" for another tar. GNU tar takes names as
// they come (-T -) and sends holes as holes; another tar gets them in handfuls,
// which makes several archives one after the other.
const tarCmd = pre + `while read -r z && [ "$z" = p ]; do printf p; done; case $z in z) tar ` + gnuTar + ` | ` + zstdTool + `;; g) exec tar ` + gnuTar + `;; ` +
	`x) exec xargs -0 -n 16 tar -cf -;; esac` + post

// bothCmd is tarCmd and hashCmd in one session, which costs the VM one login
// shell less: names go to both tools, contents come on stdout and hashes on
// stderr. The line after tarCmd's is how many files to hash per run of the tool.
const tarHashCmd = pre + useHash + `while read -r z && [ "$z" = p ]; do printf p; done; read -r n; printf "\n" >&2; ` +
	`{ { tee /dev/fd/3 | case $z in z) tar ` + gnuTar + ` 2>/dev/null | ` + zstdTool + ` 2>/dev/null;; g) exec tar ` + gnuTar + ` 2>/dev/null;; ` +
	`x) exec xargs -0 -n 16 tar -cf - 2>/dev/null;; esac >&4 3>&-; } 3>&1 | ` +
	`xargs -0 -n "$n" $h >&2 2>/dev/null 4>&-; } 4>&1` + post

const gnuTar = `-c -f - -P -S -b 64 --format=gnu --no-recursion --hard-dereference --null -T -`

// zstdTool compresses stdin. With threads of its own it would sit on some
// megabytes until more comes, and more is only asked for when those have arrived.
const zstdTool = `zstd -q -1 -c --single-thread`

// plainTarBatch is the handful of tarCmd.
const plainTarBatch = 16

// hashCmd prints "<hex> <one character><name>" for each file named on stdin. The
// first line on stdin is how many files to hash per run of the tool.
const hashCmd = pre + useHash + `read -r n; exec xargs -0 -n "$n" $h` + post

// prefixCmd takes number, length, name and prints "<number> <hex>" of the first
// length bytes, or "<number> -" if the file cannot be read.
const prefixHashCmd = pre + useHash + `export h; exec xargs -0 -n 3 sh -c "` +
	`if [ -r \"\$3\" ]; then if [ \"\$(stat -c %s -- \"\$3\" 2>/dev/null)\" = \"\$2\" ]; ` +
	`then set -- \"\$1\" \"\$(\$h <\"\$3\")\"; else set -- \"\$1\" \"\$(head -c \"\$2\" <\"\$3\" | \$h)\"; fi; ` +
	`else set -- \"\$1\" -; fi; printf \"%s %.64s\\n\" \"\$1\" \"\$2\"" sh` + post

// blockCmd takes block size, number of blocks, name and prints a line
// beginning with a hash for each block.
const blockHashCmd = pre + useHash + `export h; exec xargs -0 -n 3 sh -c "` +
	`exec <\"\$3\" || exit 1; while [ \$2 -gt 0 ]; do dd bs=\$1 count=1 2>/dev/null | \$h; ` +
	`set -- \$1 \$((\$2-1)); done" sh` + post

// rangeCmd takes name, first block, number of blocks, trailer and prints the
// bytes and the trailer.
const rangeCmd = pre + `exec xargs -0 -n 4 sh -c "` +
	`dd if=\"\$1\" bs=262144 skip=\"\$2\" count=\"\$3\" 2>/dev/null; printf %s \"\$4\"" sh` + post

// rangeBlock is the block of rangeCmd, bytes.
const rangeBlock = 262144

// catCmd prints the one file named on stdin, to its end.
const catCmd = pre + `exec xargs -0 cat --` + post

// whyCmd prints a letter for each name: C can be read, D there but not to be
// read, G gone.
const accessCmd = pre + `exec xargs -0 -n 64 sh -c "` +
	`for f do if [ -f \"\$f\" ] && [ -r \"\$f\" ]; then printf C; elif [ -e \"\$f\" ] || [ -L \"\$f\" ]; ` +
	`then printf D; else printf G; fi; done" sh` + post

// ignoreScript prints name and text of each .gitignore below the roots.
const ignoreScript = `in=$1; shift; for r do find -H "$r" -name .gitignore -type f -exec sh -c "$in" sh {} + ; done`

const ignoreItemScript = `for f do printf "%s\0" "$f"; head -c 65536 "$f" | tr -d "\0"; printf "\0"; done`
