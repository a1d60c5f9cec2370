// Package keystore owns everything the tool remembers on disk: the SSH keys of
// the VMs, a record beside each, the last inventory, small documents of other
// packages, and the locks that keep several processes apart. It is the one
// place that writes files durably. It never touches the network and never
// puts a key into an error, a log line or a process argument.
//
// # Layout of one profile
//
//	keys/<vm id>/id           the private key, 0600, usable as `ssh -i`
//	keys/<vm id>/id.prev      its predecessor, until the new key has worked
//	keys/<vm id>/record.json  host keys, endpoints, sources, times, checksums
//	known_hosts               derived from the records, OpenSSH format
//	damaged/<vm id>-<time>/   files that were set aside, never deleted
//	inventory.json, *.json    documents; <folder>/*.json one file per document
//	sealed-<folder>/*.json    likewise, but encrypted when the keys are
//	removed.json              which VMs were removed, and when
//	records.index             derived from the records, for listings of many VMs
//	store.json, identity.age  encryption at rest (then keys are id.age)
//	locks/*.lock              advisory locks (flock); the kernel frees them
//	pending/*                 which folders a writer is working in
//
// # Durable writes
//
// A file is written to a temporary file in its own folder (0600 from creation,
// whatever the umask), synced, renamed over the old one, and the folder is
// synced; every step's error is returned, and the temporary file is removed.
//
// Temporary files hold secrets, so a killed writer's must not stay. Looking
// through thousands of folders at each start would be slow; instead a writer
// first leaves an empty file in pending/ whose name says which lock it holds
// and which folder it writes to, and removes it when it is done. Open, and
// every writer that gets the same lock, clean up behind markers nobody holds
// the lock of. The lock tells living writers from killed ones; a process id
// would not (ids are reused, and differ between containers).
//
// # Consistency of a key and its record
//
// Two files cannot be renamed in one step. So a record is written ahead: it
// lists the SHA-256 of every key file that may be found (the new one, the old
// one), and a reader uses only a file whose checksum is listed, at whatever
// moment the writer was killed. The record carries a checksum of itself. A
// file that matches nothing is moved to damaged/ under the lock, after it was
// read again, and the other keys keep working.
//
// # Listings of many VMs
//
// Reading a record takes some 50 µs, so of thousands a listing reads an index
// instead. It never stands before a record: each is asked for by its stamp, and
// read if that is not the one the index has. See recordindex.go.
//
// # Bundles
//
// Whoever knows a recipient can write a bundle for it, so what Import merges
// are claims. A login from this machine is worth more than what the API said,
// and that more than a claim: a claimed key goes beside a better one, is tried
// after it, and takes its place by logging in. Which of two claims is newer is
// decided in the same way on every machine. A removed VM stays removed unless a
// bundle knows it from later, or the API gives its key again.
//
// # What encryption at rest protects against
//
// Plain 0600 files, the default, keep other users out, as in ~/.ssh. Encrypted
// keys also keep out whoever gets hold of the disk or a backup, as long as the
// identity is not on it. Neither keeps out a program that runs as the same
// user while the store is unlocked. Plain `ssh -i` cannot read id.age. Blocks
// of the plain files may survive on the medium after Encrypt.
package keystore
