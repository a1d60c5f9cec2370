package sshconn

import (
	"encoding/binary"
	"slices"
)

// Opcodes of the encoded terminal modes (RFC 4254 section 8).
const (
	modeEnd    = 0
	modeISpeed = 128
	modeOSpeed = 129
)

// speed is told to the server; nothing on a pseudo-terminal depends on it.
const speed = 38400

// encodeModes writes opcode-value pairs in a fixed order.
func encodeModes(values map[byte]uint32) []byte {
	ops := make([]byte, 0, len(values))
	for op := range values {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	var b []byte
	put := func(op byte, v uint32) { b = binary.BigEndian.AppendUint32(append(b, op), v) }
	put(modeOSpeed, speed)
	put(modeISpeed, speed)
	for _, op := range ops {
		put(op, values[op])
	}
	return append(b, modeEnd)
}
