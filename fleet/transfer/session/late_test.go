package session

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// drips is a command that sends so many bytes each so often, for an hour.
func drips(bytes int, every time.Duration) fake {
	return func(ctx context.Context, _ io.Reader, stdout io.Writer) error {
		_, _ = io.WriteString(stdout, Ready)
		for began := time.Now(); time.Since(began) < time.Hour; {
			select {
			case <-time.After(every):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if _, err := stdout.Write(make([]byte, bytes)); err != nil {
				return err
			}
		}
		return nil
	}
}

// A VM that owes something must bring 64 bytes a second, over a minute; in bursts
// or evenly is the same.
func TestMinimumRate(t *testing.T) {
	for _, c := range []struct {
		bytes int
		every time.Duration
		late  bool
	}{
		{1, 5 * time.Second, true}, {63, 10 * time.Second, true}, {1 << 20, 65*time.Second + Patience/12, true},
		{70, time.Second, false}, {3840, 59 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := NewConn(drips(c.bytes, c.every)).Start(t.Context(), "")
			defer s.Stop()
			s.Due("contents", 0)
			began := time.Now()
			err := s.Ready()
			if err == nil {
				_, err = io.Copy(io.Discard, s.Out)
			}
			var late *LateError
			if errors.As(err, &late) != c.late || (c.late && (late.What != "contents" || !errors.Is(err, ErrStalled) || !IsDrop(err) || time.Since(began) > 3*Patience)) {
				t.Errorf("%d bytes each %v: %v after %v", c.bytes, c.every, err, time.Since(began))
			}
		})
	}
}

// Time in which this end does something else is not the VM's, nor is that which its
// work needs.
func TestWhoIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewConn(drips(70, time.Second)).Start(t.Context(), "")
		defer s.Stop()
		if err := s.Ready(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 70)
		for range 10 {
			time.Sleep(5 * Patience)
			if _, err := io.ReadFull(s.Out, buf); err != nil {
				t.Fatalf("this end was busy, and the VM is given up: %v", err)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := NewConn(drips(4096, 10*time.Minute)).Start(t.Context(), "")
		defer s.Stop()
		s.Due("hashes", ToRead(20<<30))
		if err := s.Ready(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s.Out); err != nil {
			t.Errorf("it had work to do, and is given up: %v", err)
		}
	})
}

// What a VM says on stderr is none of what it owes.
func TestFloodOfStderr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewConn(noisy{})
		s := c.StartSplit(t.Context(), "")
		defer s.Stop()
		go func() { _, _ = io.Copy(io.Discard, s.Err) }()
		if err := s.Ready(); !errors.Is(err, ErrStalled) {
			t.Errorf("%v", err)
		}
	})
}

// noisy is a VM that talks on stderr alone.
type noisy struct{ fake }

func (noisy) Exec(ctx context.Context, _ string, _ io.Reader, _, stderr io.Writer) error {
	for {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if _, err := stderr.Write(make([]byte, 1000)); err != nil {
			return err
		}
	}
}

// An SFTP server owes an answer to each request, and nothing else.
func TestLateSFTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		s := watchSubsystem(here)
		defer func() { _ = s.Close() }()
		packet := binary.BigEndian.AppendUint32(nil, 5)
		packet = append(packet, "hello"...)
		go func() {
			for i := range 2 { // each request is answered, but for the last
				_, _ = io.ReadFull(there, make([]byte, len(packet)))
				if i == 0 {
					_, _ = there.Write(packet[:3])
					_, _ = there.Write(packet[3:])
				}
			}
		}()
		got := make(chan error)
		go func() {
			_, err := io.ReadFull(s, make([]byte, len(packet)))
			got <- err
			_, err = s.Read(make([]byte, 1))
			got <- err
		}()
		_, err := s.Write(packet)
		if err = errors.Join(err, <-got); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * Patience)
		select {
		case err := <-got:
			t.Fatalf("nothing was owed: %v", err)
		default:
		}
		began := time.Now()
		if _, err := s.Write(packet); err != nil {
			t.Fatal(err)
		}
		if err := <-got; !errors.Is(err, ErrStalled) || time.Since(began) > 2*Patience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
