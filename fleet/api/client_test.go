package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/retry"
)

func TestBaseURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://api.vers.ai": "https://api.vers.ai", " https://api.vers.sh/api/v1/ \n": "https://api.vers.sh/api/v1",
		"https://h//api/../api/v1": "https://h/api/v1", "http://[::1]:8080": "http://[::1]:8080", "https://h:443/": "https://h:443",
		"": "", "api.vers.ai": "", "/vms": "", "ftp://h": "", "file:///etc/passwd": "", "https://": "", "https://:443": "", "https://h:0": "",
		"https://h:70000": "", "https://h/?key=" + testKey: "", "https://h/#x": "", "https://" + testKey + "@h": "", "https://h/\u202ex": "", "http://%zz": "",
	} {
		c, err := New(Config{BaseURL: in})
		if want == "" {
			if e := failure(t, err, KindInvalid); e.Sent || leaks(everyForm(err)) != "" || e.Hint == "" {
				t.Errorf("%q: got %+v", in, e)
			}
			continue
		}
		if err != nil || c.base.String() != want {
			t.Errorf("%q: got %v, %v", in, c, err)
		}
	}
}

func TestPlainHTTPIsWarnedOf(t *testing.T) {
	for base, want := range map[string]int{"http://api.example": 1, "http://127.0.0.1:80": 0, "http://localhost": 0, "http://[::1]": 0, "https://api.example": 0} {
		if _, s := client(t, base, nil); len(s.warned) != want {
			t.Errorf("%s: warned of %q", base, s.warned)
		}
	}
}

func TestIDs(t *testing.T) {
	for in, want := range map[string]string{
		vmA: vmA, strings.ToUpper(vmA): vmA, " " + vmA + "\n": vmA, "": "", "../../x": "", vmA[:35]: "", vmA + "0": "",
		strings.ReplaceAll(vmA, "-", ""): "", "{" + vmA[2:] + "}": "", "g" + vmA[1:]: "", "c8f9cadc14c58-4eab-a847-df31723c7d16": "",
		"c8f9cadc-4c58-4eab-a847-df31723c7d1\u212a": "", // the Kelvin sign is a k in small letters
	} {
		got, ok := normalizeID(in)
		if got != want || ok != (want != "") || ok && !ValidID(got) {
			t.Errorf("%q: got %q, %v", in, got, ok)
		}
	}
	if ValidID(strings.ToUpper(vmA)) {
		t.Error("capital letters are not canonical")
	}
}

// TestKinds: names are promised to machines, and each kind has both halves of
// its row.
func TestKinds(t *testing.T) {
	want := "unavailable timeout refused reset truncated not_vers no_network dns tls recorded proxy auth no_key not_found conflict invalid too_large mismatch canceled"
	var got []string
	for k := KindUnavailable; k <= KindCanceled; k++ {
		i := k.info()
		if i.text == "" || i.text == Kind(0).info().text || i.local && !i.unreachable || i.transient && !i.unreachable {
			t.Errorf("%s: %+v", k, i)
		}
		got = append(got, k.String())
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got %s", s)
	}
	if Kind(99).String() != "unknown" || Kind(99).Unreachable() {
		t.Error("a kind that is none")
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	e := &Error{Op: "list VMs", Host: "api.vers.ai", Path: "/vms", Kind: KindUnavailable, Status: 503, Message: "Service Unavailable", Err: cause,
		Retry: retry.Hint{Transient: true}}
	if got, want := e.Error(), "list VMs: api.vers.ai/vms: the API answers 503: Service Unavailable"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Kind, e.Detail, e.Message = KindTLS, "expired", ""
	if got, want := e.Reason(), "TLS fails (expired)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wrapped := fmt.Errorf("more: %w", e)
	if !errors.Is(wrapped, cause) || !retry.HintOf(wrapped).Transient {
		t.Error("cause and hint do not come through")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", " a\t\r\n b ": "a b", "\x1b[31mred": "[31mred", "a\u0085b\u00a0c": "a b c", "\u202eabc\u2066": "abc",
		"\xff\xfeok": "ok", "日本語 ✓": "日本語 ✓", "\u009b2J": "2J", "": "", strings.Repeat("é", 20): strings.Repeat("é", 9) + "…",
	} {
		if got := clean(in, 10); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"key " + testKey + "!": "key " + owner + "[redacted]!", "cut " + testKey[36:80]: "cut [redacted]", "vm " + vmA + " stays": "vm " + vmA + " stays",
		"wrapped " + testKey[36:50] + "\n" + testKey[50:60] + " and": "wrapped [redacted] and", "two " + testKey[36:] + "," + testKey[36:]: "two [redacted],[redacted]",
		"-----BEGIN RSA PRIVATE KEY----- abc -----END RSA PRIVATE KEY----- x": "[redacted] x",
		"-----BEGIN OPENSSH PRIVATE KEY----- abc":                             "[redacted]",
		strings.Repeat("QUJD", 12):                                            "[redacted]",
		"a perfectly ordinary sentence, /root/workspace/output":               "a perfectly ordinary sentence, /root/workspace/output",
	} {
		if got := redact(safe.OneLine(in), secretPart(testKey)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := redact("the word the", secretPart("the")); got != "the word the" {
		t.Errorf("a token too short to be one spoiled the text: %q", got)
	}
}

func TestLogLines(t *testing.T) {
	c, s := client(t, answering(t, 200, "", "[]").URL, nil)
	_, _ = c.VMs(t.Context())
	if len(s.log) != 1 || !strings.HasPrefix(s.log[0], "GET 127.0.0.1:") || !strings.Contains(s.log[0], "/vms: 200 in ") || !strings.HasSuffix(s.log[0], ", 2 bytes") {
		t.Errorf("got %q", s.log)
	}
	c, s = client(t, "http://api.example", withDial(errors.New("no")))
	_, _ = c.VMs(t.Context())
	if len(s.log) != 1 || !strings.Contains(s.log[0], "GET api.example/vms: refused in ") {
		t.Errorf("got %q", s.log)
	}
}
