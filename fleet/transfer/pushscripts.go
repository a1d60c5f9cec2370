package transfer

import (
	"fmt"
	"strings"

	"github.com/vers-fleet/vers-fleet/fleet/transfer/session"
)

// The commands of a push. Those whose stdin is content get names as one line of
// octal escapes first (shellLine), which "read" takes byte by byte and printf
// decodes; nothing of a name is ever part of a command.

// readName decodes a line of stdin into the shell variable n.
const readName = `read -r n; n=$(printf "%b." "$n"); n=${n%.}; `

// shellLine encodes a name for readName.
func shellLine(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, `\0%03o`, name[i])
	}
	return b.String() + "\n"
}

// untarCmd unpacks a tar stream in the folder named first.
const untarCmd = session.Pre + readName + `cd "$n" || exit 1; case "$(tar --version 2>/dev/null)" in *"GNU tar"*) ` +
	`exec tar -x -p --no-same-owner -f -;; *) exec tar -x -p -o -f -;; esac` + session.Post

// appendCmd adds stdin to the file named first.
const appendCmd = session.Pre + readName + `exec cat >>"$n"` + session.Post

// whereScript tells what a path is: D folder, F something else, M nothing.
const whereScript = `if [ -d "$1" ]; then printf D; elif [ -e "$1" ] || [ -L "$1" ]; then printf F; else printf M; fi`

// foldersScript makes folders; $1 is the mode of new ones, or - for the usual.
// It prints a letter for each: K there, F failed, N new.
const foldersScript = `m=$1; shift; for d do if [ -d "$d" ]; then printf K; ` +
	`elif mkdir -p -- "$d" 2>/dev/null; then [ "$m" = - ] || chmod "$m" "$d"; printf N; else printf F; fi; done`

// placeScript renames checked files: pairs of names. K done, D a folder is in
// the way, F failed. A symlink to a folder is replaced, never followed.
const placeScript = `while [ $# -gt 1 ]; do if [ -L "$2" ] && [ -d "$2" ]; then rm -f -- "$2"; fi; ` +
	`if [ -d "$2" ]; then printf D; elif mv -f -- "$1" "$2" 2>/dev/null; then printf K; else printf F; fi; shift 2; done`

// linksScript makes symlinks: pairs of target and name.
const linksScript = `while [ $# -gt 1 ]; do rm -f -- "$2"; if ln -s -- "$1" "$2" 2>/dev/null; then printf K; else printf F; fi; shift 2; done`

// hardScript makes hard links: pairs of a file and its further name.
const hardScript = `while [ $# -gt 1 ]; do if ln -f -- "$1" "$2" 2>/dev/null; then printf K; else printf F; fi; shift 2; done`

// metaScript sets mode and time: mode, time ("@seconds.fraction"), name. A
// busybox without fractions gets whole seconds.
const metaScript = `while [ $# -gt 2 ]; do chmod "$1" "$3"; touch -d "$2" -- "$3" 2>/dev/null || touch -d "${2%.*}" -- "$3"; printf K; shift 3; done`

// removeScript removes folders of unfinished transfers and files in them.
const removeScript = `rm -rf -- "$@"; printf K`
