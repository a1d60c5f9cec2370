// Package completions holds the scripts that make shells complete the command
// line of vers-fleet. It owns nothing but their text: what is offered, and how
// it is quoted, is decided by the program they ask (vers-fleet __offer).
//
// A script hands over what stands on the command line as it stands, and never
// evaluates it, nor anything that it is answered.
package completions
