// Package listing asks a VM what is there and makes sense of the answer.
//
// It owns the one command that lists paths on any kind of VM (GNU find, or find
// and stat of another make), the reader of its answer, the Item with its place
// below DEST and its name on the VM, and the filters. The answer is not trusted:
// each record is parsed strictly, each name checked by dest.CheckName, and what
// makes no sense is counted and bounded. It never decides what to do about an
// item, writes nothing, and knows nothing of contents.
package listing
