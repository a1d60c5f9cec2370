package sshconn

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ForwardKind is the direction of a forwarding.
type ForwardKind byte

// The kinds, named by OpenSSH's flags.
const (
	ForwardLocal   ForwardKind = 'L' // listen here, connect from the VM
	ForwardRemote  ForwardKind = 'R' // listen on the VM, connect from here
	ForwardDynamic ForwardKind = 'D' // SOCKS server here, connect from the VM
)

// ForwardAddr is one side of a forwarding: a TCP address or the path of a Unix socket.
type ForwardAddr struct {
	Host string // "" is the default: loopback for a listener
	Port int
	Path string
	Any  bool // all interfaces ("*" or an empty bind address)
}

// ForwardSpec is a parsed forwarding.
type ForwardSpec struct {
	Kind   ForwardKind
	Listen ForwardAddr
	To     ForwardAddr // unused for ForwardDynamic
}

// specError says what is wrong with the text of a forwarding.
type specError struct {
	Kind   ForwardKind
	Spec   string
	Reason string
	Form   string // how it is written
}

// Error quotes the text and shows the right form.
func (e *specError) Error() string {
	return fmt.Sprintf("forwarding -%c %q: %s; write %s", e.Kind, e.Spec, e.Reason, e.Form)
}

// ParseForward reads a forwarding as OpenSSH writes it:
// [bind:]port:host:hostport, [bind:]port:socket, socket:host:hostport,
// socket:socket, and [bind:]port for ForwardDynamic. IPv6 addresses stand in
// brackets. The error shows the right form.
func ParseForward(kind ForwardKind, spec string) (ForwardSpec, error) {
	bad := func(reason string) (ForwardSpec, error) {
		return ForwardSpec{}, &specError{Kind: kind, Spec: spec, Reason: reason, Form: specForm(kind)}
	}
	parts, ok := splitSpec(spec)
	if !ok {
		return bad("a bracket is not closed")
	}
	f := ForwardSpec{Kind: kind}
	rest, reason := f.Listen.takeListener(parts, kind)
	if reason != "" {
		return bad(reason)
	}
	if kind == ForwardDynamic {
		if len(rest) > 0 {
			return bad("there is more than an address to listen on")
		}
		return f, nil
	}
	if reason := f.To.takeTarget(rest); reason != "" {
		return bad(reason)
	}
	return f, nil
}

func specForm(kind ForwardKind) string {
	if kind == ForwardDynamic {
		return "[bind_address:]port"
	}
	return "[bind_address:]port:host:hostport, or a socket's path instead of either side"
}

// splitSpec cuts at colons outside brackets. Brackets stay on the part, so
// that "[::1]" is told from a name.
func splitSpec(s string) ([]string, bool) {
	var parts []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ':':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
		if depth < 0 || depth > 1 {
			return nil, false
		}
	}
	return append(parts, s[start:]), depth == 0
}

func isPath(s string) bool { return strings.HasPrefix(s, "/") }

// takeListener reads the side that listens and returns what follows it.
func (a *ForwardAddr) takeListener(parts []string, kind ForwardKind) (rest []string, reason string) {
	if isPath(parts[0]) {
		if kind == ForwardDynamic {
			return nil, "a SOCKS server listens on a port"
		}
		a.Path = parts[0]
		return parts[1:], ""
	}
	// What follows the listener: nothing (-D), a path, or host and port.
	after := 2
	switch {
	case kind == ForwardDynamic:
		after = 0
	case isPath(parts[len(parts)-1]):
		after = 1
	}
	own := len(parts) - after
	if own < 1 || own > 2 {
		return nil, "it has the wrong number of parts"
	}
	if own == 2 {
		if reason := a.setBind(parts[0]); reason != "" {
			return nil, reason
		}
	}
	port, ok := parsePort(parts[own-1], true)
	if !ok {
		return nil, fmt.Sprintf("%q is no port to listen on", parts[own-1])
	}
	a.Port = port
	return parts[own:], ""
}

func (a *ForwardAddr) setBind(s string) (reason string) {
	if s == "" || s == "*" {
		a.Any = true
		return ""
	}
	host, ok := parseHost(s)
	if !ok {
		return fmt.Sprintf("%q is no address", s)
	}
	a.Host = host
	return ""
}

// takeTarget reads the side that is connected to.
func (a *ForwardAddr) takeTarget(parts []string) (reason string) {
	if len(parts) == 1 && isPath(parts[0]) {
		a.Path = parts[0]
		return ""
	}
	if len(parts) != 2 {
		return "it has the wrong number of parts"
	}
	host, ok := parseHost(parts[0])
	if !ok {
		return fmt.Sprintf("%q is no host", parts[0])
	}
	port, ok := parsePort(parts[1], false)
	if !ok {
		return fmt.Sprintf("%q is no port", parts[1])
	}
	a.Host, a.Port = host, port
	return ""
}

// parseHostPort reads the host:port of -W. IPv6 addresses stand in brackets.
// The error shows the right form.
func parseHostPort(s string) (host string, port int, err error) {
	parts, ok := splitSpec(s)
	var a ForwardAddr
	if !ok || a.takeTarget(parts) != "" || a.Path != "" {
		return "", 0, &specError{Kind: 'W', Spec: s, Reason: "it is no address", Form: "host:port"}
	}
	return a.Host, a.Port, nil
}

// parseHost takes a name or address, without brackets. Hosts are data: they
// hold no spaces, control characters or separators.
func parseHost(s string) (string, bool) {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	} else if strings.ContainsAny(s, "[]") {
		return "", false
	}
	if s == "" || len(s) > 255 {
		return "", false
	}
	for _, r := range s {
		if r <= ' ' || r == 127 || r == '/' || r == '[' || r == ']' {
			return "", false
		}
	}
	return s, true
}

func parsePort(s string, zero bool) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 && !zero || s[0] == '+' {
		return 0, false
	}
	return int(n), true
}

// String is the address in OpenSSH's form.
func (a ForwardAddr) String() string {
	if a.Path != "" {
		return a.Path
	}
	port := strconv.Itoa(a.Port)
	switch {
	case a.Any:
		return "*:" + port
	case a.Host == "":
		return port
	}
	return net.JoinHostPort(a.Host, port)
}

// String is the forwarding in OpenSSH's form, with its flag.
func (f ForwardSpec) String() string {
	s := fmt.Sprintf("-%c %s", f.Kind, f.Listen)
	if f.Kind != ForwardDynamic {
		s += ":" + f.To.String()
	}
	return s
}

// matches tells whether text, as given to ~C -KL, names this listener.
func (a ForwardAddr) matches(text string) bool {
	if a.Path != "" {
		return text == a.Path
	}
	parts, ok := splitSpec(text)
	if !ok || len(parts) > 2 {
		return false
	}
	var b ForwardAddr
	if _, reason := b.takeListener(parts, ForwardDynamic); reason != "" {
		return false
	}
	return a.Port == b.Port && (len(parts) == 1 || a.Host == b.Host && a.Any == b.Any)
}
