// Package mcpserver is the fleet as tools for AI agents: it speaks the Model
// Context Protocol over stdin and stdout or over HTTP, and is thin over the rooms.
//
// It owns what an agent may be offered and told: which tools there are, their
// schemas and hints, how long an answer may be, and the one place (guard.go)
// through which every text on its way to an agent passes. What a VM says is the
// word of whoever is on it: it is marked as such, loses what is invisible, and
// whatever looks like a key is taken out.
//
// Every call names its VM; nothing is remembered between calls. It never offers a
// key, never writes outside its root folder, never prints, and decides nothing
// about how the API is treated: that is what the rooms do.
package mcpserver
