package sim

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	bombSize  = 1 << 30
	deepLevel = 1_000_000
)

// withFaults lets the faults that are on befall one call, or else answers it.
func (s *Sim) withFaults(w *statusWriter, r *request, call *Call, answer func(http.ResponseWriter)) {
	e := event{endpoint: r.endpoint, method: r.Method}
	if r.vm != nil {
		e.vmID, e.vmName = r.vm.id, r.vm.Name()
	}
	delay, f, found := s.faults.pick(e)
	if delay > 0 && !s.pause(r.Context(), delay) {
		return
	}
	if !found {
		answer(w)
		return
	}
	call.Fault = f.Kind
	if f.Date != "" {
		w.Header().Set("Date", f.Date)
	}
	if status := f.status(); status > 0 || f.Kind == KindFlaky {
		f.refuse(w, status)
		return
	}
	if f.Kind == KindHangAfter || f.Kind == KindResetAfter || f.Kind == Kind503After {
		discard := newRecorder()
		answer(discard)
	}
	s.misbehave(w, r, f, answer)
}

// pause waits and reports whether the caller is still there.
func (s *Sim) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}

// refuse answers with an error status, in the form of the real outage.
func (f Fault) refuse(w http.ResponseWriter, status int) {
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.RetryAfterMs != "" {
		w.Header().Set("Retry-After-Ms", f.RetryAfterMs)
	}
	switch status {
	case http.StatusUnauthorized:
		bare(w, status, "")
	case http.StatusForbidden:
		bare(w, status, "403 Forbidden")
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		htmlPage(w, status, fmt.Sprintf("%d %s", status, http.StatusText(status)))
	case http.StatusInternalServerError:
		writeError(w, status, "internal server error")
	case http.StatusConflict:
		writeError(w, status, "commit still has 1 active VM(s)")
	default:
		bare(w, status, fmt.Sprintf("%d %s", status, http.StatusText(status)))
	}
}

// misbehave is every fault that is more than a status.
func (s *Sim) misbehave(w *statusWriter, r *request, f Fault, answer func(http.ResponseWriter)) {
	switch f.Kind {
	case KindHang, KindHangAfter:
		_, _ = io.Copy(io.Discard, r.Body) // so that a client going away is noticed
		s.pause(r.Context(), 24*time.Hour)
		cutConn(w, nil)
	case KindReset, KindResetAfter:
		cutConn(w, nil)
	case KindNotHTTP:
		cutConn(w, []byte("220 mail.example.org ESMTP ready\r\n"))
	case Kind503After:
		f.refuse(w, http.StatusServiceUnavailable)
	case KindHTML:
		htmlPage(w, http.StatusOK, "Welcome to the guest network")
	case KindEmpty:
		bare(w, http.StatusOK, "")
	case KindGarbage:
		garbage(w)
	case KindGzipBomb:
		gzipBomb(w)
	case KindEndless:
		s.endless(w, r)
	case KindDeepJSON:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.Repeat("[", deepLevel)+strings.Repeat("]", deepLevel))
	case KindRedirectLoop:
		redirect(w, r.URL.RequestURI())
	case KindRedirectHost, KindRedirectHTTP:
		redirect(w, s.trapURL(r.URL.RequestURI()))
	case KindUnauthorized:
		bare(w, http.StatusUnauthorized, "")
	case KindForbidden:
		bare(w, http.StatusForbidden, "403 Forbidden")
	case KindNotFound:
		plainText(w, http.StatusNotFound, "404 page not found\n")
	default:
		s.distort(w, r, f, answer)
	}
}

// distort sends the true answer in a wrong way.
func (s *Sim) distort(w *statusWriter, r *request, f Fault, answer func(http.ResponseWriter)) {
	rec := newRecorder()
	answer(rec)
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nConnection: close\r\n",
		rec.status, http.StatusText(rec.status), rec.Header().Get("Content-Type"))
	body := rec.body.Bytes()
	length := len(body)
	w.status = rec.status
	switch f.Kind {
	case KindTruncated:
		body = body[:length/2]
	case KindWrongLength:
		length /= 2
	}
	head = fmt.Appendf(head, "Content-Length: %d\r\n\r\n", length)
	rate := max(f.Rate, 1)
	conn := hijack(w)
	if conn == nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	defer stop()
	switch f.Kind {
	case KindSlow:
		_, _ = conn.Write(head)
		s.drip(conn, body, rate)
	case KindSlowHeaders:
		if s.drip(conn, head, rate) {
			_, _ = conn.Write(body)
		}
	default:
		_, _ = conn.Write(append(head, body...))
	}
}

// drip writes data at rate bytes per second.
func (s *Sim) drip(conn net.Conn, data []byte, rate int) bool {
	for len(data) > 0 {
		n := min(len(data), max(rate/10, 1))
		if _, err := conn.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
		if !s.pause(s.ctx, time.Duration(n)*time.Second/time.Duration(rate)) {
			return false
		}
	}
	return true
}

// hijack takes the connection away from the HTTP server.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}

// cutConn says last and resets the connection.
func cutConn(w http.ResponseWriter, last []byte) {
	conn := hijack(w)
	if conn == nil {
		return
	}
	if len(last) > 0 {
		_, _ = conn.Write(last)
		_ = conn.Close()
		return
	}
	abort(conn)
}

// abort closes a connection with a TCP reset where that can be had.
func abort(conn net.Conn) {
	raw := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	bare(w, http.StatusFound, "")
}

func garbage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	junk := []byte("[{\"vm_id\":\x00\xff\xfe\x1b[31m")
	_, _ = w.Write(bytes.Repeat(junk, 40))
}

func gzipBomb(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	zip := gzip.NewWriter(w)
	defer zip.Close()
	zeros := bytes.Repeat([]byte(" "), 1<<20)
	for range bombSize >> 20 {
		if _, err := zip.Write(zeros); err != nil {
			return
		}
	}
}

func (s *Sim) endless(w http.ResponseWriter, r *request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := []byte("[" + strings.Repeat("[],", 10_000))
	for r.Context().Err() == nil && s.ctx.Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		chunk[0] = ' '
	}
}
