package transfer

import "github.com/vers-fleet/vers-fleet/fleet/transfer/session"

// The commands that run on the VM, each a constant (see session.Pre).

// tarCmd streams the files named on stdin. The first line is "g" for GNU tar, "z" to compress that with zstd, "x" for another tar. GNU tar takes names as
// they come (-T -) and sends holes as holes; another tar gets them in handfuls,
// which makes several archives one after the other.
const tarCmd = session.Pre + `read -r z; case $z in z) tar ` + gnuTar + ` | ` + session.Zstd + `;; g) exec tar ` + gnuTar + `;; ` +
	`x) exec xargs -0 -n 16 tar -cf -;; esac` + session.Post

// bothCmd is tarCmd and hashCmd in one session, which costs the VM one login
// shell less: names go to both tools, contents come on stdout and hashes on
// stderr. The line after tarCmd's is how many files to hash per run of the tool.
const tarHashCmd = session.Pre + session.FindHash + `read -r z; read -r n; printf "\n" >&2; ` +
	`{ { tee /dev/fd/3 | case $z in z) tar ` + gnuTar + ` 2>/dev/null | ` + session.Zstd + ` 2>/dev/null;; g) exec tar ` + gnuTar + ` 2>/dev/null;; ` +
	`x) exec xargs -0 -n 16 tar -cf - 2>/dev/null;; esac >&4 3>&-; } 3>&1 | ` +
	`xargs -0 -n "$n" $h >&2 2>/dev/null 4>&-; } 4>&1` + session.Post

const gnuTar = `-c -f - -P -S -b 64 --format=gnu --no-recursion --hard-dereference --null -T -`

// plainTarBatch is the handful of tarCmd.
const plainTarBatch = 16

// hashCmd prints "<hex> <one character><name>" for each file named on stdin. The
// first line on stdin is how many files to hash per run of the tool.
const hashCmd = session.Pre + session.FindHash + `read -r n; exec xargs -0 -n "$n" $h` + session.Post

// prefixCmd takes number, length, name and prints "<number> <hex>" of the first
// length bytes, or "<number> -" if the file cannot be read.
const prefixHashCmd = session.Pre + session.FindHash + `export h; exec xargs -0 -n 3 sh -c "` +
	`if [ -r \"\$3\" ]; then if [ \"\$(stat -c %s -- \"\$3\" 2>/dev/null)\" = \"\$2\" ]; ` +
	`then set -- \"\$1\" \"\$(\$h <\"\$3\")\"; else set -- \"\$1\" \"\$(head -c \"\$2\" <\"\$3\" | \$h)\"; fi; ` +
	`else set -- \"\$1\" -; fi; printf \"%s %.64s\\n\" \"\$1\" \"\$2\"" sh` + session.Post

// blockCmd takes block size, number of blocks, name and prints a line
// beginning with a hash for each block.
const blockHashCmd = session.Pre + session.FindHash + `export h; exec xargs -0 -n 3 sh -c "` +
	`exec <\"\$3\" || exit 1; while [ \$2 -gt 0 ]; do dd bs=\$1 count=1 2>/dev/null | \$h; ` +
	`set -- \$1 \$((\$2-1)); done" sh` + session.Post

// rangeCmd takes name, first block, number of blocks, trailer and prints the
// bytes and the trailer.
const rangeCmd = session.Pre + `exec xargs -0 -n 4 sh -c "` +
	`dd if=\"\$1\" bs=262144 skip=\"\$2\" count=\"\$3\" 2>/dev/null; printf %s \"\$4\"" sh` + session.Post

// rangeBlock is the block of rangeCmd, bytes.
const rangeBlock = 262144

// catCmd prints the one file named on stdin, to its end.
const catCmd = session.Pre + `exec xargs -0 cat --` + session.Post

// whyCmd prints a letter for each name: C can be read, D there but not to be
// read, G gone.
const accessCmd = session.Pre + `exec xargs -0 -n 64 sh -c "` +
	`for f do if [ -f \"\$f\" ] && [ -r \"\$f\" ]; then printf C; elif [ -e \"\$f\" ] || [ -L \"\$f\" ]; ` +
	`then printf D; else printf G; fi; done" sh` + session.Post

// globCmd prints, for each pattern, what it matches, each ended by NUL, and an
// empty item. The shell does not evaluate what comes of a variable: without IFS
// it only looks for names (POSIX.1-2024, XCU 2.6).
const globCmd = session.Pre + `exec xargs -0 sh -c "IFS=; ` +
	`for r do if [ -e \"\$r\" ] || [ -L \"\$r\" ]; then printf \"%s\\0\" \"\$r\"; ` +
	`else for f in \$r; do if [ -e \"\$f\" ] || [ -L \"\$f\" ]; then printf \"%s\\0\" \"\$f\"; fi; done; fi; printf \"\\0\"; done" sh` + session.Post

// oneFileCmd prints "F<size>" and the content of the file named on stdin, or why
// not, each letter ended by NUL: G gone, D folder, X not to be read, S special.
const oneFileCmd = session.Pre + `exec xargs -0 sh -c "` +
	`if [ -d \"\$1\" ]; then printf \"D\\0\"; elif [ ! -e \"\$1\" ]; then printf \"G\\0\"; elif [ ! -f \"\$1\" ]; then printf \"S\\0\"; ` +
	`elif [ ! -r \"\$1\" ]; then printf \"X\\0\"; else printf \"F%s\\0\" \"\$(stat -L -c %s -- \"\$1\" 2>/dev/null)\"; exec cat -- \"\$1\"; fi" sh` + session.Post
