// Package clients knows where programs with an AI agent keep their list of MCP
// servers, and how this one is written into it.
//
// It owns the forms of these files. Everything else in them stays as it is, byte
// for byte, comments included; what comes out is read again, and no other value may
// have changed. It never writes a secret, and never writes before it is told to.
package clients
