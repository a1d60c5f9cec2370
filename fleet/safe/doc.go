// Package safe says what may be handed to a shell, to OpenSSH's configuration
// and to a terminal: names of files, labels and answers are the word of whoever
// runs a VM. It owns quoting and nothing else, and imports nothing of ours.
package safe
