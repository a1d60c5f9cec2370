// Package safe says what may be handed to a shell, to OpenSSH's configuration
// and to a terminal: names, labels and answers are the word of whoever runs a
// VM.
//
// It owns four rules, which everything else uses: how a word is quoted for a
// shell, whatever shell that is ([Word], [Words], [Script]); how it is quoted
// for ssh_config; what of a text may be shown as it is, and how the rest is
// made visible ([Hidden], [Clean], [Text]); which names may be offered to a
// shell for completion ([Plain]), and which look like another ([Skeleton]). It
// keeps nothing, asks nobody and imports nothing of ours.
package safe
