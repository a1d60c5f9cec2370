package session

import "github.com/vers-fleet/vers-fleet/fleet/safe"

// Ready precedes every answer, so that whatever a .bashrc prints before it can be
// told from the answer.
const Ready = "\n@vers-fleet-ready@\x00"

// noStdin is the status of a command whose stdin was read to its end before.
const noStdin = 97

// awaitGo skips the prelude, with which all that a command reads on stdin begins.
const awaitGo = safe.SkipPrelude + ` || exit 97; `

// SayReady prints Ready from a shell.
const SayReady = `printf "\n@vers-fleet-ready@\0"; `

// Pre and Post make a script a command for any login shell (csh and fish
// included): Pre + script + Post. The script has no single quotes; names and
// numbers reach it by stdin, separated by NUL (xargs -0 exists in GNU findutils
// and in busybox).
const (
	Pre  = `exec sh -c 'export LC_ALL=C TAR_OPTIONS=; ` + awaitGo + SayReady
	Post = `'`
)

// RunScript runs a script with arguments, see [Conn.Script]. xargs begins a second
// command where the arguments are too many for one; that one finds no mark before
// its first, and must not take a name for a script.
const RunScript = Pre + `exec xargs -0 sh -c "[ \"\$1\" = ` + scriptMark + ` ] || exit 255; s=\$2; shift 2; eval \"\$s\"" sh` + Post

const scriptMark = "@vers-fleet-script@"

// MaxArgs is how many bytes of arguments a script gets at a time: busybox's xargs
// takes 32 KiB, scripts have up to 4 KiB, and so may the last name.
const MaxArgs = 24 << 10

// FindHash sets h to a command that prints a SHA-256 of stdin. OpenSSL is about
// three times as fast as coreutils' own code and six times busybox's.
const FindHash = `if command -v openssl >/dev/null 2>&1; then h="openssl dgst -sha256 -r"; ` +
	`elif command -v sha256sum >/dev/null 2>&1; then h=sha256sum; else h=; fi; `

// Zstd compresses stdin. With threads of its own it would sit on some
// megabytes until more comes, and more is only asked for when those have arrived.
const Zstd = `zstd -q -1 -c --single-thread`
