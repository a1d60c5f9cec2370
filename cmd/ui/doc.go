// Package ui is everything a person or a script sees: streams, colour, the
// spinner, progress, prompts, the one printer and the rendering of errors.
//
// The rules, in one place:
//
//   - stdout carries the answer and nothing else; everything else is stderr.
//   - Colour, spinner and progress appear on a terminal only, and never under
//     --no-color, NO_COLOR, TERM=dumb, no TERM or CI (CI and dumb terminals also lose
//     the moving parts).
//   - A table in a pipe is tab separated: no header, no truncation, absolute
//     times, so that cut and awk work. On a terminal it is aligned, truncated
//     to the width, and times are relative.
//   - Text from outside is never trusted: in tables and messages control
//     characters and bidirectional overrides are made visible. In JSON they
//     are escaped and keep their value.
//   - A reader that goes away (closed pipe) ends the program quietly.
//
// It never decides what to do, never talks to a VM or the API, and never
// reads the configuration.
package ui
