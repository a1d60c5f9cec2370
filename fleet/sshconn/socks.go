package sshconn

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// socksWait bounds the negotiation with a SOCKS client.
const socksWait = 15 * time.Second

// Replies and address types of RFC 1928.
const (
	socksOK          = 0
	socksFailed      = 1
	socksNotAllowed  = 2
	socksUnreachable = 4
	socksBadCommand  = 7
	socksBadAddress  = 8

	socksIPv4   = 1
	socksDomain = 3
	socksIPv6   = 4
)

var errSocks = errors.New("not a SOCKS CONNECT request")

// socks serves one client of SOCKS 5 (RFC 1928), 4 or 4A: CONNECT without
// authentication. Names are looked up on the VM.
func (f *Forward) socks(in net.Conn) (net.Conn, error) {
	_ = in.SetDeadline(time.Now().Add(socksWait))
	var version [1]byte
	if _, err := io.ReadFull(in, version[:]); err != nil {
		return nil, err
	}
	request, answer := socksRequest, socksReply
	if version[0] == 4 {
		request, answer = socks4Request, socks4Reply
	} else if version[0] != 5 {
		return nil, errSocks
	}
	to, reply, err := request(in)
	if err != nil {
		if reply != socksOK {
			_ = answer(in, reply)
		}
		return nil, err
	}
	_ = in.SetDeadline(time.Time{})
	out, err := f.conn.dialVM(f.ctx, to)
	if err != nil {
		reply = socksFailed
		if errors.Is(err, ErrRefused) {
			reply = socksUnreachable
		}
		_ = answer(in, reply)
		return nil, err
	}
	if err := answer(in, socksOK); err != nil {
		_ = out.Close()
		return nil, err
	}
	return out, nil
}

// socksRequest negotiates and reads the request, after its version. reply is
// the code to refuse with, or socksOK when the client spoke something else.
func socksRequest(c io.ReadWriter) (to ForwardAddr, reply byte, err error) {
	var n [1]byte
	if _, err := io.ReadFull(c, n[:]); err != nil {
		return to, socksOK, err
	}
	methods := make([]byte, n[0])
	if _, err := io.ReadFull(c, methods); err != nil {
		return to, socksOK, err
	}
	for _, m := range methods {
		if m == 0 { // no authentication
			if _, err := c.Write([]byte{5, 0}); err != nil {
				return to, socksOK, err
			}
			return socksTarget(c)
		}
	}
	_, _ = c.Write([]byte{5, 0xff})
	return to, socksOK, errSocks
}

// socksTarget reads version, command, reserved byte and address.
func socksTarget(c io.Reader) (to ForwardAddr, reply byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return to, socksOK, err
	}
	size := 0
	switch head[3] {
	case socksIPv4:
		size = 4
	case socksIPv6:
		size = 16
	case socksDomain:
		var n [1]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return to, socksOK, err
		}
		size = int(n[0])
	default:
		return to, socksBadAddress, errSocks
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(c, rest); err != nil {
		return to, socksOK, err
	}
	if head[0] != 5 || head[1] != 1 {
		return to, socksBadCommand, errSocks
	}
	to.Port = int(binary.BigEndian.Uint16(rest[size:]))
	if head[3] == socksDomain {
		host, ok := parseHost(string(rest[:size]))
		to.Host = host
		if !ok {
			return to, socksNotAllowed, errSocks
		}
		return to, socksOK, nil
	}
	ip, _ := netip.AddrFromSlice(rest[:size])
	to.Host = ip.String()
	return to, socksOK, nil
}

// socksReply answers. The bound address is not known and not needed.
func socksReply(c io.Writer, code byte) error {
	_, err := c.Write([]byte{5, code, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
	return err
}

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
