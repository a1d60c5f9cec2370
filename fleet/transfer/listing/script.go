package listing

import "github.com/vers-fleet/vers-fleet/fleet/transfer/session"

// listScript prints "P", what the VM has, then each root: "R<number>", its
// items, "E<status of find>"; or "M<number>" if there is none. The first
// character of a root tells how deep: 0 only itself, 1 what is in it too, a all. What follows "P" is
// compressed if the VM has zstd: TCP begins so slowly that the listing of 10,000
// files (1.3 MB) would take six round trips. $1 and $2 are
// linkScript and statScript, $3 statScript following links.
const listScript = session.FindHash + `
l=stat; find /dev/null -maxdepth 0 -printf "" 2>/dev/null && l=find
t=none
if command -v tar >/dev/null 2>&1; then t=plain; case "$(tar --version 2>/dev/null)" in *"GNU tar"*) t=gnu;; esac; fi
z=none; command -v zstd >/dev/null 2>&1 && ` + session.Zstd + ` </dev/null >/dev/null 2>&1 && z=zstd
d=none; command -v dd >/dev/null 2>&1 && d=dd
dd if=/dev/null iflag=fullblock >/dev/null 2>&1 && d="$d full"
command -v tee >/dev/null 2>&1 && [ -e /dev/fd/1 ] && d="$d tee"
printf "P\0%s\0%s\0%s\0%s\0%s\0" "$l" "$t" "${h:-none}" "$z" "$d"
links=$1; items=$2; top=$3; shift 3
all() { i=0; for r do
  case $r in 0*) m="-maxdepth 0";; 1*) m="-maxdepth 1";; *) m=;; esac; r=${r#?}
  if [ ! -e "$r" ] && [ ! -L "$r" ]; then printf "M%s\0" "$i"
  else
    printf "R%s\0" "$i"
    if [ $l = find ]; then
      find -H "$r" $m -printf "F%y %s %m %T@ %D %i %n %b\0%l\0%P\0"; s=$?
    elif [ -d "$r" ]; then
      find "$r/." $m -type l -exec sh -c "$links" sh {} + ; s=$?
      find "$r/." $m -exec sh -c "$items" sh {} + || s=1
    else
      sh -c "$top" sh "$r"; s=$?
    fi
    printf "E%s\0" "$s"
  fi
  i=$((i+1))
done; }
if [ $z = zstd ]; then all "$@" | ` + session.Zstd + `; else all "$@"; fi`

// linkScript prints "L", name, target of each symlink.
const linkScript = `for f do printf "L\0%s\0" "$f"; readlink -- "$f"; printf "\0"; done`

// statScript prints "B", the names, an empty item, and stat's lines for them
// as one item (a name is at the end of its line, and may hold newlines; the
// reader knows the names).
const statScript = `printf "B\0"; printf "%s\0" "$@"; printf "\0"; ` +
	`stat -c "%f %s %Y %y %d %i %h %b %n" -- "$@" 2>/dev/null; printf "\0"`

const statTopScript = `printf "B\0"; printf "%s\0" "$@"; printf "\0"; ` +
	`stat -L -c "%f %s %Y %y %d %i %h %b %n" -- "$@" 2>/dev/null; printf "\0"`

// ignoreScript prints name and text of each .gitignore below the roots.
const ignoreScript = `in=$1; shift; for r do find -H "$r" -name .gitignore -type f -exec sh -c "$in" sh {} + ; done`

const ignoreItemScript = `for f do printf "%s\0" "$f"; head -c 65536 "$f" | tr -d "\0"; printf "\0"; done`
