package lieutenant

import "github.com/vers-fleet/vers-fleet/fleet/safe"

// The scripts that run on the VM. What they answer stands on lines that begin with "vf:", so that whatever a .bashrc
// prints before is passed over. They end with status 0 whatever they find.

// begin gives $1 its name. The empty line ends whatever a .bashrc left on the line. facts prints inode, size and
// modification time of $out; without a usable stat they come from ls, and the time, unknown, reads 0.
const begin = `out=$1
echo
facts() { stat -c '%i %s %Y' "$out" 2>/dev/null || { set -- $(ls -Liln "$out"); echo "$1 $6 0"; }; }
`

// lookScript: out, in, session, pattern of a writer in ls -l, bytes wanted from the end, bytes in which to count
// answers.
//
//	vf:none | vf:facts TMUX WRITERS INODE SIZE MTIME NOW ANSWERS, vf:data START LENGTH, bytes
//
// TMUX is yes, no or none (no tmux there); WRITERS the number of processes that have $out open for writing, asked
// only without tmux; - where nothing is known. Blocks of 64 KiB are read with dd because it seeks. Answers are counted
// with the lines broken at every brace, because grep keeps a line in memory, and one can have hundreds of MB.
const lookScript = begin + `
in=$2 session=$3 writer=$4 want=$5 count=$6
[ -e "$out" ] || [ -e "$in" ] || { echo vf:none; exit 0; }
tmux=none writers=-
if command -v tmux >/dev/null 2>&1; then
  if tmux has-session -t "$session" >/dev/null 2>&1; then tmux=yes; else tmux=no; fi
elif [ -d /proc/self/fd ] && [ -O "$out" ]; then
  writers=$(ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c -e "$writer")
fi
now=$(date +%s)
[ -f "$out" ] || { echo "vf:facts $tmux $writers 0 0 0 $now 0"; echo "vf:data 0 0"; exit 0; }
set -- $(facts)
size=$2 answers=-
if [ "$count" -gt 0 ]; then
  first=0
  [ "$size" -gt "$count" ] && first=$(( (size - count) / 65536 ))
  answers=$(dd if="$out" bs=65536 skip="$first" 2>/dev/null | tr '{' '\012' | LC_ALL=C grep -Fc -e '"type":"agent_end"' -e '"type": "agent_end"')
fi
echo "vf:facts $tmux $writers $1 $2 $3 $now $answers"
start=0
[ "$size" -gt "$want" ] && start=$(( (size - want) / 65536 * 65536 ))
[ "$want" -gt 0 ] || start=$size
echo "vf:data $start $((size - start))"
[ "$size" -eq "$start" ] || dd if="$out" bs=65536 skip=$((start / 65536)) 2>/dev/null | head -c $((size - start))
exit 0
`

// blockScript: out, first block, number of bytes.
//
//	vf:none | vf:block INODE SIZE MTIME, bytes
const blockScript = begin + `
[ -f "$out" ] || { echo vf:none; exit 0; }
echo "vf:block $(facts)"
dd if="$out" bs=65536 skip="$2" 2>/dev/null | head -c "$3"
exit 0
`

// lineScript: out, number of a block.
//
//	vf:none | vf:block INODE SIZE MTIME, vf:line BLOCK, bytes of this and the next one
//
// It finds the last newline before a block: the block that holds it, 0 if there is none. It looks at larger and larger
// pieces, up to 16 MiB, then halves the one that has it. Nothing but tr sees the bytes, and it keeps none; wc -l of
// busybox would take three times as long.
const lineScript = begin + `
[ -f "$out" ] || { echo vf:none; exit 0; }
echo "vf:block $(facts)"
hi=$2 lo=$2 step=16 found=
newlines() { dd if="$out" bs=65536 skip="$1" count=$(($2 - $1)) 2>/dev/null | tr -dc '\012' | wc -c; }
while [ "$lo" -gt 0 ] && [ -z "$found" ]; do
  hi=$lo lo=$((lo - step))
  [ "$step" -ge 256 ] || step=$((step * 2))
  [ "$lo" -gt 0 ] || lo=0
  [ "$(newlines "$lo" "$hi")" -eq 0 ] || found=yes
done
[ "$found" ] || hi=$lo
while [ $((hi - lo)) -gt 1 ]; do
  mid=$(((lo + hi) / 2))
  if [ "$(newlines "$mid" "$hi")" -gt 0 ]; then lo=$mid; else hi=$mid; fi
done
echo "vf:line $lo"
dd if="$out" bs=65536 skip="$lo" count=2 2>/dev/null
exit 0
`

// followScript: out, offset, inode (0 = any).
//
//	vf:gone | vf:reset INODE | vf:idle | vf:data INODE START LENGTH, bytes
//
// A frame begins at a multiple of 4096 before the offset, so it repeats some bytes that the reader already has and
// can compare. If the file is truncated while a frame is read, zeros fill the frame, so that the next one is found.
const followScript = begin + `
off=$2 inode=$3 idle=0 gone=
pause() { idle=$((idle + 1)); [ $((idle % 40)) -ne 0 ] || echo vf:idle || exit 0; sleep 0.25 2>/dev/null || sleep 1; }
while :; do
  if [ ! -f "$out" ]; then
    [ "$gone" ] || echo vf:gone
    gone=yes
    pause
    continue
  fi
  gone=
  set -- $(facts)
  [ $# -eq 3 ] || { pause; continue; }
  [ "$inode" != 0 ] || inode=$1
  if [ "$1" != "$inode" ] || [ "$2" -lt "$off" ]; then
    inode=$1 off=0
    echo "vf:reset $inode" || exit 0
  fi
  if [ "$2" -le "$off" ]; then pause; continue; fi
  start=0 end=$2
  [ "$off" -eq 0 ] || start=$(( (off - 1) / 4096 * 4096 ))
  [ $((end - start)) -le 1048576 ] || end=$((start + 1048576))
  echo "vf:data $inode $start $((end - start))" || exit 0
  { dd if="$out" bs=4096 skip=$((start / 4096)) count=$(( (end - start + 4095) / 4096 )) 2>/dev/null; cat /dev/zero 2>/dev/null; } | head -c $((end - start))
  off=$end idle=0
done
`

// sendScript: in, session, seconds to wait for a reader; the prelude and one line on stdin.
//
//	vf:none | vf:nobody | vf:notimeout | vf:eaten | vf:opened, vf:sent
//
// Opening a FIFO that nobody reads blocks, so this happens under timeout, and in a single process, because busybox
// kills only that. The line is read whole before, so that a slow connection cannot leave half of it in the FIFO.
const sendScript = `
echo
[ -e "$1" ] || { echo vf:none; exit 0; }
if [ -f "$1" ] || [ -d "$1" ]; then echo vf:nobody; exit 0; fi
if command -v tmux >/dev/null 2>&1 && ! tmux has-session -t "$2" >/dev/null 2>&1; then echo vf:nobody; exit 0; fi
command -v timeout >/dev/null 2>&1 || { echo vf:notimeout; exit 0; }
` + safe.SkipPrelude + ` || { echo vf:eaten; exit 0; }
line=$(cat)
printf '%s\n' "$line" | timeout "$3" sh -c '{ echo vf:opened >&2; exec cat; } >"$1"' vers-fleet "$1" 2>&1 && echo vf:sent
echo vf:done
exit 0
`

// besideScript: folder.
//
//	vf:file NAME, for each session file in it
const besideScript = `
echo
for file in "$1"/*.jsonl; do
  [ ! -f "$file" ] || echo "vf:file ${file##*/}"
done
exit 0
`
