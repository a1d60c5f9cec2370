package sshconn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// AlgorithmError says that the server and this program have no algorithm of a
// class in common.
type AlgorithmError struct {
	Class  string   // "key exchange", "host key", "cipher", "MAC" or "compression"
	Option string   // sshd_config's option for the class; "" if unknown
	Ours   []string // what this program offers
	Theirs []string // what the server offers, with nothing in it that is no name
}

// newAlgorithmError reads the library's error, or returns nil.
func newAlgorithmError(err error) *AlgorithmError {
	var e *ssh.AlgorithmNegotiationError
	if !errors.As(err, &e) {
		return nil
	}
	a := &AlgorithmError{Class: e.What, Ours: algorithmNames(e.SupportedAlgorithms), Theirs: algorithmNames(e.RequestedAlgorithms)}
	for _, c := range []struct{ word, class, option string }{
		{"key exchange", "key exchange", "KexAlgorithms"}, {"host key", "host key", "HostKeyAlgorithms"},
		{"cipher", "cipher", "Ciphers"}, {"MAC", "MAC", "MACs"}, {"compression", "compression", "Compression"},
	} {
		if strings.Contains(e.What, c.word) {
			a.Class, a.Option = c.class, c.option
		}
	}
	return a
}

// algorithmNames are the names in a list, which a server may have filled with
// anything: markers of the protocol are none (RFC 8308, OpenSSH's strict KEX).
func algorithmNames(list []string) (names []string) {
	const longest = 48
	for _, n := range list {
		if strings.HasPrefix(n, "ext-info-") || strings.HasPrefix(n, "kex-strict-") {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' {
				return '?'
			}
			return r
		}, n[:min(longest, len(n))]))
	}
	return names
}

// Error names the class and both lists, shortly.
func (e *AlgorithmError) Error() string {
	return fmt.Sprintf("no %s algorithm in common: the VM's SSH server has %s; this program has %s", e.Class, someOf(e.Theirs), someOf(e.Ours))
}

// someOf lists the first few names.
func someOf(names []string) string {
	const most = 4
	if len(names) == 0 {
		return "none"
	}
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

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
