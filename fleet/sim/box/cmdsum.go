package box

import (
	"bufio"
	"crypto/md5"  // md5sum is what it says
	"crypto/sha1" // sha1sum too
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode/utf8"
)

// cmdSum makes a command of a hash function.
func cmdSum(newHash func() hash.Hash) command {
	return func(c *cmd) int {
		f, names, ok := c.parse("bctwz", "check=c", "zero=z", "binary=b", "text=t", "status=status", "quiet=quiet", "strict=strict")
		if !ok {
			return 1
		}
		if f.on("c") {
			return c.check(f, names, newHash)
		}
		buf := make([]byte, 256<<10)
		return c.eachInput(names, func(name string, r io.Reader) error {
			h := newHash()
			if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, buf); err != nil {
				return err
			}
			sum := hex.EncodeToString(h.Sum(nil))
			if f.on("z") {
				_, err := fmt.Fprintf(c.out, "%s  %s\x00", sum, name)
				return err
			}
			mark, shown := "", strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r").Replace(name)
			if shown != name {
				mark = "\\"
			}
			_, err := fmt.Fprintf(c.out, "%s%s  %s\n", mark, sum, shown)
			return err
		})
	}
}

// check compares files with the sums in lists.
func (c *cmd) check(f flags, lists []string, newHash func() hash.Hash) int {
	bad := 0
	status := c.eachInput(lists, func(_ string, r io.Reader) error {
		return lines(r, func(line []byte) error {
			sum, name, found := strings.Cut(strings.TrimSuffix(string(line), "\n"), "  ")
			if !found {
				bad++
				return nil
			}
			h := newHash()
			in, err := c.input(name)
			if err == nil {
				_, err = io.Copy(h, in)
				_ = in.Close()
			}
			good := err == nil && hex.EncodeToString(h.Sum(nil)) == sum
			word := "OK"
			if !good {
				bad++
				word = "FAILED"
			}
			if !f.on("status") && (!good || !f.on("quiet")) {
				_, err = fmt.Fprintf(c.out, "%s: %s\n", name, word)
				return err
			}
			return nil
		})
	})
	if bad > 0 {
		return 1
	}
	return status
}

func sumCommands(table map[string]command) {
	table["sha256sum"] = cmdSum(sha256.New)
	table["sha512sum"] = cmdSum(sha512.New)
	table["sha1sum"] = cmdSum(sha1.New)
	table["md5sum"] = cmdSum(md5.New)
}

func cmdCksum(c *cmd) int {
	_, names, ok := c.parse("")
	if !ok {
		return 1
	}
	return c.eachInput(names, func(name string, r io.Reader) error {
		var crc uint32
		var size uint64
		br := bufio.NewReaderSize(r, 64<<10)
		step := func(b byte) {
			crc ^= uint32(b) << 24
			for range 8 {
				if crc&0x80000000 != 0 {
					crc = crc<<1 ^ 0x04C11DB7
				} else {
					crc <<= 1
				}
			}
		}
		for {
			b, err := br.ReadByte()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			size++
			step(b)
		}
		for n := size; n > 0; n >>= 8 {
			step(byte(n))
		}
		if name == "-" {
			name = ""
		}
		_, err := fmt.Fprintln(c.out, strings.TrimSpace(fmt.Sprintf("%d %d %s", ^crc, size, name)))
		return err
	})
}

func cmdWc(c *cmd) int {
	f, names, ok := c.parse("clwm", "bytes=c", "lines=l", "words=w", "chars=m")
	if !ok {
		return 1
	}
	all := !f.on("c") && !f.on("l") && !f.on("w") && !f.on("m")
	var total [4]int
	print := func(n [4]int, name string) error {
		var cols []string
		for i, letter := range []string{"l", "w", "m", "c"} {
			if f.on(letter) || all && letter != "m" {
				cols = append(cols, fmt.Sprint(n[i]))
			}
		}
		if name != "-" {
			cols = append(cols, name)
		}
		_, err := fmt.Fprintln(c.out, strings.Join(cols, " "))
		return err
	}
	status := c.eachInput(names, func(name string, r io.Reader) error {
		n, err := count(r)
		if err != nil {
			return err
		}
		for i := range total {
			total[i] += n[i]
		}
		return print(n, name)
	})
	if len(names) > 1 && print(total, "total") != nil {
		return 1
	}
	return status
}

// count returns lines, words, characters and bytes.
func count(r io.Reader) (n [4]int, err error) {
	buf := make([]byte, 256<<10)
	inWord := false
	for {
		got, err := r.Read(buf)
		n[3] += got
		for _, b := range buf[:got] {
			if b == '\n' {
				n[0]++
			}
			space := b == ' ' || b >= '\t' && b <= '\r'
			if !space && !inWord {
				n[1]++
			}
			inWord = !space
			if utf8.RuneStart(b) {
				n[2]++
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func cmdBase64(c *cmd) int {
	f, names, ok := c.parse("dw:i", "decode=d", "wrap:=w", "ignore-garbage=i")
	if !ok {
		return 1
	}
	width := int64(76)
	if text, given := f.get("w"); given {
		n, err := number(text)
		if err != nil {
			return c.failf("%v", err)
		}
		width = n
	}
	return c.eachInput(names, func(_ string, r io.Reader) error {
		if f.on("d") {
			return c.copy(c.out, base64.NewDecoder(base64.StdEncoding, r))
		}
		w := bufio.NewWriter(&wrapper{w: c.out, width: int(width)})
		enc := base64.NewEncoder(base64.StdEncoding, w)
		if _, err := io.Copy(enc, r); err != nil {
			return err
		}
		if err := enc.Close(); err != nil {
			return err
		}
		if err := w.Flush(); err != nil || width == 0 {
			return err
		}
		_, err := io.WriteString(c.out, "\n")
		return err
	})
}

// wrapper breaks lines after width bytes.
type wrapper struct {
	w     io.Writer
	width int
	col   int
}

func (w *wrapper) Write(p []byte) (int, error) {
	if w.width == 0 {
		return w.w.Write(p)
	}
	out := make([]byte, 0, len(p)+len(p)/w.width+1)
	for _, b := range p {
		if w.col == w.width {
			out = append(out, '\n')
			w.col = 0
		}
		out = append(out, b)
		w.col++
	}
	if _, err := w.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
