package api

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
)

// SSHKey is the key that opens a VM. PrivateKey is an OpenSSH private key in
// PEM form; Port is the platform's DNAT port, 0 when the server sent none that
// can be. Printed, logged or marshalled, it shows itself without the key.
type SSHKey struct {
	PrivateKey []byte
	Port       int
}

const hidden = "[private key]"

// Format implements [fmt.Formatter] for every verb, so that no verb prints the
// bytes of the key.
func (k SSHKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// String says that there is a key, never which.
func (k SSHKey) String() string {
	if len(k.PrivateKey) == 0 {
		return fmt.Sprintf("{no private key, port %d}", k.Port)
	}
	return fmt.Sprintf("{%s, port %d}", hidden, k.Port)
}

// LogValue implements [slog.LogValuer].
func (k SSHKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON leaves the key out.
func (k SSHKey) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"private_key":%q,"port":%d}`, hidden, k.Port), nil
}

// maxKeyBytes bounds a private key; a 16384-bit RSA key is about 12 KiB.
const maxKeyBytes = 64 << 10

// plausibleKey returns text as one PEM block of an OpenSSH private key, ending
// in a newline, as OpenSSH requires. Whether the key is sound is for the SSH
// package to say; this tells a key from an error page.
func plausibleKey(text []byte) ([]byte, bool) {
	text = bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	if len(text) == 0 || len(text) > maxKeyBytes || !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return nil, false
	}
	block, rest := pem.Decode(append(text, '\n'))
	if block == nil || len(bytes.TrimSpace(rest)) != 0 || len(block.Headers) != 0 {
		return nil, false
	}
	const magic = "openssh-key-v1\x00" // OpenSSH PROTOCOL.key
	if block.Type != "OPENSSH PRIVATE KEY" || !bytes.HasPrefix(block.Bytes, []byte(magic)) {
		return nil, false
	}
	return append(bytes.Clone(text), '\n'), true
}

// readSSHKey keeps a key whose port makes no sense: the key is what matters.
func readSSHKey(n *warnings, body []byte) (SSHKey, error) {
	var w struct { // schema VmSshKeyResponse
		PrivateKey text            `json:"ssh_private_key"`
		Port       json.RawMessage `json:"ssh_port"`
	}
	if err := decodeObject(body, &w); err != nil {
		return SSHKey{}, err
	}
	pem, ok := plausibleKey([]byte(w.PrivateKey))
	if !ok {
		return SSHKey{}, notVers("no OpenSSH private key in it")
	}
	k := SSHKey{PrivateKey: pem}
	if err := json.Unmarshal(w.Port, &k.Port); err != nil || k.Port < 1 || k.Port > 65535 {
		k.Port = 0
		n.add("the SSH port is not between 1 and 65535")
	}
	return k, nil
}
