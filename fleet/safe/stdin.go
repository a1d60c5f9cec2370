package safe

// Prelude begins what a command reads on stdin. A login shell's .bashrc may read
// some lines of it, which belongs to nobody; what is meant for the command comes
// after the last one. See [SkipPrelude].
const Prelude = "\n\n\n\n\n\n\n\n" + goLine + "\n"

const goLine = "@vers-fleet-go@"

// SkipPrelude is a command of sh that skips the [Prelude]. It fails where .bashrc
// has read all of it, and so perhaps a part of what comes after.
const SkipPrelude = `{ while read -r go && [ "$go" != ` + goLine + ` ]; do :; done; [ "$go" = ` + goLine + ` ]; }`
