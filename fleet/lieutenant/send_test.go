//go:build unix

package lieutenant

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// session starts a tmux session of the stream's name, if its shell knows tmux.
func session(t *testing.T, s *Stream) {
	t.Helper()
	l := s.Conn.(local)
	if len(l.env) == 1 { // busybox alone
		return
	}
	tmux := need(t, "tmux")
	run := func(args ...string) error {
		c := exec.Command(tmux, args...)
		c.Env = l.env
		return c.Run()
	}
	if err := run("-f", "/dev/null", "new-session", "-d", "-s", s.paths.session, "sleep 600"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run("kill-server") })
}

func TestSend(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		if err := s.Send(t.Context(), Message{Type: Prompt, Text: "hello"}); !errors.Is(err, ErrNoLieutenant) {
			t.Errorf("without a FIFO: %v", err)
		}
		check(t, syscall.Mkfifo(s.paths.in, 0o600))
		session(t, s)
		begin := time.Now()
		if err := s.Send(t.Context(), Message{Type: Prompt, Text: "hello"}); !errors.Is(err, ErrNoReader) {
			t.Errorf("without a reader: %v", err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("without a reader it took %s", took)
		}
		s.sendWait = 600 // from here on somebody reads, however slowly
		lines := make(chan string, 10)
		reader, err := os.OpenFile(s.paths.in, os.O_RDWR, 0) // as a lieutenant keeps it open
		check(t, err)
		t.Cleanup(func() { reader.Close() })
		go func() {
			for r := bufio.NewReader(reader); ; {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				lines <- line
			}
		}()
		for _, tt := range []struct {
			m    Message
			want string
		}{
			{Message{Type: Prompt, Text: "plain"}, `{"type":"prompt","message":"plain"}`},
			{Message{Type: Steer, Text: "a\nb\t\"c\" \\ 'd' $(e) `f` %s ;& ü😀"}, `{"type":"steer","message":"a\nb\t\"c\" \\ 'd' $(e) ` + "`f`" + ` %s ;& ü😀"}`},
			{Message{Type: FollowUp, Text: "-n \x00\x1b"}, `{"type":"follow_up","message":"-n \u0000\u001b"}`},
			{Message{Type: GetState}, `{"type":"get_state"}`},
			{Message{Type: GetStats, ID: "vf-1"}, `{"type":"get_session_stats","id":"vf-1"}`},
			{Message{Type: Abort}, `{"type":"abort"}`},
			{Message{Type: UIResponse, ID: "u-1", Text: "Allow"}, `{"type":"extension_ui_response","id":"u-1","value":"Allow"}`},
			{Message{Type: UIResponse, ID: "u-1", Confirmed: new(false)}, `{"type":"extension_ui_response","id":"u-1","confirmed":false}`},
			{Message{Type: Prompt, Text: strings.Repeat("x", 300000)}, `{"type":"prompt","message":"` + strings.Repeat("x", 300000) + `"}`},
		} {
			if err := s.Send(t.Context(), tt.m); err != nil {
				t.Fatalf("%.40q: %v", tt.m.Text, err)
			}
			if got := <-lines; got != tt.want+"\n" {
				t.Errorf("got  %.80q\nwant %.80q", got, tt.want)
			}
		}
	})
}

func TestSendToAReaderThatStops(t *testing.T) {
	t.Parallel()
	inShells(t, func(t *testing.T, s *Stream) {
		check(t, syscall.Mkfifo(s.paths.in, 0o600))
		session(t, s)
		reader, err := os.OpenFile(s.paths.in, os.O_RDWR, 0)
		check(t, err)
		defer reader.Close()
		if err := s.Send(t.Context(), Message{Type: Prompt, Text: strings.Repeat("x", 500000)}); !errors.Is(err, ErrPartialWrite) {
			t.Errorf("%v", err)
		}
	})
}

func TestSendWithoutALieutenantAtTheOtherEnd(t *testing.T) {
	for name, prepare := range map[string]func(s *Stream) error{
		"a plain file":     func(s *Stream) error { return os.WriteFile(s.paths.in, nil, 0o600) },
		"a folder":         func(s *Stream) error { return os.Mkdir(s.paths.in, 0o700) },
		"no tmux session ": func(s *Stream) error { need(t, "tmux"); return syscall.Mkfifo(s.paths.in, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, local{[]string{"sh", "-c"}, tmuxEnv(t)})
			s.sendWait = 600
			check(t, prepare(s))
			if err := s.Send(t.Context(), Message{Type: Prompt, Text: "x"}); !errors.Is(err, ErrNoReader) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestBadMessages(t *testing.T) {
	s := &Stream{Conn: local{[]string{"false"}, nil}}
	for _, m := range []Message{{}, {Type: Prompt}, {Type: GetState, Text: "x"}, {Type: Abort, Text: "x"}, {Type: UIResponse, Text: "x"}, {Type: UIResponse, ID: "1"},
		{Type: "delete", Text: "x"}, {Type: Prompt, Text: "\xff"}, {Type: Prompt, Text: strings.Repeat("x", maxMessage+1)}} {
		if err := s.Send(t.Context(), m); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%.20v: %v", m, err)
		}
	}
	if err := s.Send(t.Context(), Message{Type: Prompt, Text: "x"}); !exited(err) || errors.Is(err, ErrDeliveryUnknown) {
		t.Errorf("a VM without a shell: %v", err)
	}
}

// lost is a connection that ends without an exit status, after the VM has said something.
type lost string

func (l lost) Exec(_ context.Context, _ string, _ io.Reader, stdout, _ io.Writer) error {
	_, _ = io.WriteString(stdout, string(l))
	return io.ErrClosedPipe
}

func TestSendOverALostConnection(t *testing.T) {
	for said, want := range map[string]error{"": ErrDeliveryUnknown, "vf:opened\n": ErrDeliveryUnknown, "vf:opened\nvf:sent\n": nil, "vf:nobody\n": ErrNoReader} {
		s := &Stream{Conn: lost(said)}
		if err := s.Send(t.Context(), Message{Type: Prompt, Text: "x"}); !errors.Is(err, want) {
			t.Errorf("%q: %v", said, err)
		}
	}
}
