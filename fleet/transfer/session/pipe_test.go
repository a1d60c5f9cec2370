package session

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// What is written in pieces of any size comes out as it went in, around the end
// of the ring too, and then the error that it was closed with.
func TestPipeCarriesEverything(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	p, over := newPipe(1000), errors.New("over")
	go func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(2500))
			if m, err := p.Write(rest[:n]); m != n || err != nil {
				p.close(err)
				return
			}
			rest = rest[n:]
		}
		p.close(over)
	}()
	var got []byte
	buf := make([]byte, 777)
	for {
		n, err := p.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			if !errors.Is(err, over) || !bytes.Equal(got, want) {
				t.Fatalf("%d of %d bytes came as they were written, then %v", len(got), len(want), err)
			}
			return
		}
	}
}

func TestPipeThatNobodyReads(t *testing.T) {
	p := newPipe(10)
	ended := make(chan error)
	go func() {
		_, err := p.Write(make([]byte, 11)) // one more than it holds
		ended <- err
	}()
	p.leave()
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the writer got %v", err)
	}
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the reader got %v", err)
	}
}
