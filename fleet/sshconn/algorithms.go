package sshconn

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// algorithms is what is offered: x/crypto's list without known weaknesses,
// and of that no SHA-1 MAC. Its first cipher is aes128-gcm, which is also the
// fastest here where the processor helps with AES.
func algorithms() ssh.Config {
	a := ssh.SupportedAlgorithms()
	return ssh.Config{
		KeyExchanges: a.KeyExchanges,
		Ciphers:      a.Ciphers,
		MACs:         slices.DeleteFunc(a.MACs, func(m string) bool { return m == ssh.HMACSHA1 }),
	}
}

// hostKeyAlgorithms lists the accepted host-key algorithms, those of the
// pinned keys first: a server with several keys then shows the one that is
// known. Host certificates are left out, for nobody here could check one.
func hostKeyAlgorithms(pinned []ssh.PublicKey) []string {
	all := []string{ssh.KeyAlgoED25519}
	for _, a := range ssh.SupportedAlgorithms().HostKeys {
		if !strings.Contains(a, "cert-v0") && a != ssh.KeyAlgoED25519 {
			all = append(all, a)
		}
	}
	known := func(algorithm string) bool {
		return slices.ContainsFunc(pinned, func(k ssh.PublicKey) bool {
			return k.Type() == keyType(algorithm)
		})
	}
	var first, rest []string
	for _, a := range all {
		if known(a) {
			first = append(first, a)
		} else {
			rest = append(rest, a)
		}
	}
	return append(first, rest...)
}

// keyType is the key's type that goes with a signature algorithm (RFC 8332).
func keyType(algorithm string) string {
	if algorithm == ssh.KeyAlgoRSASHA256 || algorithm == ssh.KeyAlgoRSASHA512 {
		return ssh.KeyAlgoRSA
	}
	return algorithm
}
