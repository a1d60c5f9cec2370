package sshconn

import (
	"errors"
	"strings"
	"testing"
)

func TestParseForward(t *testing.T) {
	good := []struct {
		kind ForwardKind
		in   string
		want string // canonical form
	}{
		{'L', "8080:host:80", "-L 8080:host:80"},
		{'L', "127.0.0.1:8080:host:80", "-L 127.0.0.1:8080:host:80"},
		{'L', "[::1]:8080:[fe80::1]:80", "-L [::1]:8080:[fe80::1]:80"},
		{'L', "*:8080:host:80", "-L *:8080:host:80"},
		{'L', ":8080:host:80", "-L *:8080:host:80"},
		{'L', "0:host:80", "-L 0:host:80"},
		{'L', "8080:/run/x.sock", "-L 8080:/run/x.sock"},
		{'L', "localhost:8080:/run/x.sock", "-L localhost:8080:/run/x.sock"},
		{'L', "/tmp/l.sock:host:80", "-L /tmp/l.sock:host:80"},
		{'R', "/tmp/l.sock:/tmp/r.sock", "-R /tmp/l.sock:/tmp/r.sock"},
		{'R', "9000:localhost:3000", "-R 9000:localhost:3000"},
		{'D', "1080", "-D 1080"},
		{'D', "localhost:1080", "-D localhost:1080"},
		{'D', "[::1]:1080", "-D [::1]:1080"},
	}
	for _, c := range good {
		f, err := ParseForward(c.kind, c.in)
		if err != nil || f.String() != c.want {
			t.Errorf("%q: %q %v", c.in, f.String(), err)
		}
	}
	bad := map[ForwardKind][]string{
		'L': {"", "80", "80:host", "host:80", "80:host:0", "80:host:99999", "99999:h:1", "-1:h:1", "a:b:c", "80:ho st:1", "80:h:1:2:3",
			"[::1:80:h:1", "80:[::1]]:1", "80::1", "80:[]:1", "::1:80:h:1", "80:h:+1", "/a:b", ":::", "80:a/b:1", "80:h\x00:1", "80:\x1b]0;x\a:1"},
		'D': {"", "x", "/sock", "1:2:3", "1080:host:80", "99999"},
	}
	for kind, list := range bad {
		for _, s := range list {
			var e *specError
			if f, err := ParseForward(kind, s); !errors.As(err, &e) || e.Reason == "" {
				t.Errorf("%c %q: %v %v", kind, s, f, err)
			}
		}
	}
	for in, want := range map[string]string{"h:22": "h", "[::1]:22": "::1", "10.0.0.1:1": "10.0.0.1"} {
		if h, _, err := parseHostPort(in); err != nil || h != want {
			t.Error(in, h, err)
		}
	}
	for _, in := range []string{"", "h", "h:0", ":22", "/x", "h:22:1", "::1:22"} {
		if _, _, err := parseHostPort(in); err == nil {
			t.Error(in)
		}
	}
}

func FuzzParseForward(f *testing.F) {
	for _, s := range []string{"8080:host:80", "[::1]:1:/a", "/a:/b", "*:1:h:2", ":::", "[", "D", "1080"} {
		f.Add(byte('L'), s)
		f.Add(byte('D'), s)
	}
	f.Fuzz(func(t *testing.T, kind byte, s string) {
		k := ForwardKind(kind)
		if k != ForwardLocal && k != ForwardRemote && k != ForwardDynamic {
			k = ForwardLocal
		}
		spec, err := ParseForward(k, s)
		if err != nil {
			return
		}
		// The canonical form must mean the same.
		again, err := ParseForward(k, strings.TrimPrefix(spec.String(), "-"+string(rune(k))+" "))
		if err != nil || again != spec {
			t.Fatalf("%q became %q, read back as %+v (%v)", s, spec, again, err)
		}
		if strings.ContainsAny(spec.Listen.Host+spec.To.Host, " \x00\n\r/[]") {
			t.Fatalf("%q lets %+v through", s, spec)
		}
	})
}
