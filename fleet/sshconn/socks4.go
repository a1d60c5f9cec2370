package sshconn

import (
	"encoding/binary"
	"io"
	"net/netip"
)

// socks4Most bounds the user's and the host's name in a request.
const socks4Most = 255

// socks4Request reads a request of SOCKS 4 after its version: command, port,
// IPv4 address, user's name. Its extension 4A says with the impossible address
// 0.0.0.x that a host's name follows.
func socks4Request(c io.ReadWriter) (to ForwardAddr, reply byte, err error) {
	var head [7]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return to, socksOK, err
	}
	if _, err := socks4String(c); err != nil { // the user's name means nothing here
		return to, socksOK, err
	}
	ip := netip.AddrFrom4([4]byte(head[3:]))
	to = ForwardAddr{Host: ip.String(), Port: int(binary.BigEndian.Uint16(head[1:]))}
	if named := head[3] == 0 && head[4] == 0 && head[5] == 0 && head[6] != 0; named {
		name, err := socks4String(c)
		if err != nil {
			return to, socksOK, err
		}
		host, ok := parseHost(name)
		if !ok {
			return to, socksNotAllowed, errSocks
		}
		to.Host = host
	}
	if head[0] != 1 {
		return to, socksBadCommand, errSocks
	}
	return to, socksOK, nil
}

// socks4String reads up to a NUL, a byte at a time: what follows is not ours.
func socks4String(c io.Reader) (string, error) {
	var s []byte
	var b [1]byte
	for len(s) <= socks4Most {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return "", err
		}
		if b[0] == 0 {
			return string(s), nil
		}
		s = append(s, b[0])
	}
	return "", errSocks
}

// socks4Reply answers; version 4 has one code for every refusal.
func socks4Reply(c io.Writer, code byte) error {
	granted := byte(90)
	if code != socksOK {
		granted = 91
	}
	_, err := c.Write([]byte{0, granted, 0, 0, 0, 0, 0, 0})
	return err
}
