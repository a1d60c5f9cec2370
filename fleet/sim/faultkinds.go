package sim

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// FaultKind declares a fault: all that there is to it.
type FaultKind struct {
	name, help string
	value      string                        // the option that a value after "=" stands for
	standard   string                        // that value when nothing is said
	api        func(*strike)                 // what befalls a call
	gateway    func(*knock) *tls.Certificate // what befalls a connection; nil turns it away
}

// Name is the fault's name; Help says what it does.
func (k FaultKind) Name() string { return k.name }

// Help is what the fault does, in a few words.
func (k FaultKind) Help() string { return k.help }

// ofGateway reports whether the fault is one of the VM gateway.
func (k FaultKind) ofGateway() bool { return strings.HasPrefix(k.name, "gateway-") }

// adds reports whether the fault only delays, beside what others do.
func (k FaultKind) adds() bool { return k.api == nil && k.gateway == nil }

// FaultKinds declares all faults but the statuses, which are numbers. "After"
// kinds let the server act first, which is what makes a client's retry
// dangerous.
func FaultKinds() []FaultKind {
	return []FaultKind{
		{name: "hang", help: "the request is taken and never answered", api: (*strike).hang},
		{name: "hang-after", help: "acts, then never answers", api: func(s *strike) { s.act(); s.hang() }},
		{name: "reset", help: "the connection is reset before acting", api: func(s *strike) { cutConn(s.w, "") }},
		{name: "reset-after", help: "acts, then resets", api: func(s *strike) { s.act(); cutConn(s.w, "") }},
		{name: "503-after", help: "acts, then answers 503", api: func(s *strike) { s.act(); s.fault.refuse(s.w, 503) }},
		{name: "flaky", help: "503 for half of the calls, or flaky=0.3, or flaky=1/3", value: "probability", standard: "0.5",
			api: func(s *strike) { s.fault.refuse(s.w, 503) }},
		{name: "truncated", help: "half of the body, then the end", api: func(s *strike) { s.replay(func(m *message) { m.body = m.body[:len(m.body)/2] }) }},
		{name: "wrong-length", help: "Content-Length says half of the body", api: func(s *strike) { s.replay(func(m *message) { m.length /= 2 }) }},
		{name: "slow", help: "the body at one byte a second, or slow=100", value: "rate",
			api: func(s *strike) { s.replay(func(m *message) { m.bodyRate = max(s.fault.Rate, 1) }) }},
		{name: "slow-headers", help: "the headers so, or slow-headers=100", value: "rate",
			api: func(s *strike) { s.replay(func(m *message) { m.headRate = max(s.fault.Rate, 1) }) }},
		{name: "html", help: "200 with a portal's HTML page", api: func(s *strike) { htmlPage(s.w, 200, "Welcome to the guest network") }},
		{name: "empty", help: "200 with nothing", api: func(s *strike) { bare(s.w, 200, "") }},
		{name: "garbage", help: "200 with bytes that are not JSON", api: func(s *strike) {
			s.claimJSON(strings.Repeat("[{\"vm_id\":\x00\xff\xfe\x1b[31m", 40))
		}},
		{name: "not-http", help: "an answer that is not HTTP", api: func(s *strike) { cutConn(s.w, "220 mail.example.org ESMTP ready\r\n") }},
		{name: "gzip-bomb", help: "a small body that unpacks to 1 GiB", api: (*strike).gzipBomb},
		{name: "endless", help: "a body that never ends", api: (*strike).endless},
		{name: "deep-json", help: "JSON nested a million deep", api: func(s *strike) {
			s.claimJSON(strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000))
		}},
		{name: "redirect-loop", help: "302 to itself", api: func(s *strike) { redirect(s.w, s.r.URL.RequestURI()) }},
		{name: "redirect-host", help: "302 to another host, plain http, that notes the key",
			api: func(s *strike) { redirect(s.w, s.sim.trapURL(s.r.URL.RequestURI())) }},
		{name: "notfound", help: "404 without JSON, as from a wrong base URL", api: func(s *strike) { plainText(s.w, 404, "404 page not found\n") }},
		{name: "latency", help: "every answer later: latency=200ms; adds to other faults", value: "latency"},

		{name: "gateway-down", help: "connections are reset at once", gateway: func(k *knock) *tls.Certificate { abort(k.conn.Conn); return nil }},
		{name: "gateway-hang", help: "connections are taken, nothing is said", gateway: (*knock).hang},
		{name: "gateway-latency", help: "connections begin later: gateway-latency=200ms", value: "latency"},
		{name: "gateway-reset", help: "a reset after 64 KiB, or gateway-reset=1000 bytes", value: "bytes",
			gateway: func(k *knock) *tls.Certificate {
				if k.conn.limit.Store(k.fault.Bytes); k.fault.Bytes == 0 {
					k.conn.limit.Store(64 << 10)
				}
				return k.ca.good
			}},
		{name: "gateway-trickle", help: "a byte per 3 s from the key exchange on (or =tls, =login)",
			value: "stage", standard: stageKEX, gateway: func(k *knock) *tls.Certificate { k.conn.slowFrom(k.fault.Stage); return k.ca.good }},
		{name: "gateway-cert", help: "a certificate for another name", gateway: func(k *knock) *tls.Certificate { return k.ca.wrongName }},
		{name: "gateway-expired", help: "a certificate that has run out", gateway: func(k *knock) *tls.Certificate { return k.ca.expired }},
		{name: "gateway-untrusted", help: "a certificate of an unknown CA", gateway: func(k *knock) *tls.Certificate { return k.ca.untrusted }},
	}
}

// knock is a connection to the VM gateway that a fault befalls.
type knock struct {
	conn  *meteredConn
	ca    *authority
	fault Fault
}

// hang takes a connection and says nothing until the other side hangs up.
func (k *knock) hang() *tls.Certificate {
	_, _ = io.Copy(io.Discard, k.conn.Conn)
	return nil
}

// strike is a call that a fault befalls.
type strike struct {
	sim    *Sim
	w      *statusWriter
	r      *request
	fault  Fault
	answer func(http.ResponseWriter) // what the platform does without one
}

// act lets the server do what was asked, and keeps its answer back.
func (s *strike) act() { s.answer(newRecorder()) }

func (s *strike) hang() {
	_, _ = io.Copy(io.Discard, s.r.Body) // so that a client going away is noticed
	s.sim.pause(s.r.Context(), 24*time.Hour)
	cutConn(s.w, "")
}

// claimJSON answers 200 with what is said to be JSON.
func (s *strike) claimJSON(body string) {
	s.w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(s.w, body)
}

// refuse answers with an error status, in the form of the real outage.
func (f Fault) refuse(w http.ResponseWriter, status int) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.RetryAfterMs != "" {
		w.Header().Set("Retry-After-Ms", f.RetryAfterMs)
	}
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch status {
	case http.StatusUnauthorized:
		bare(w, status, "")
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		htmlPage(w, status, text)
	case http.StatusInternalServerError:
		writeError(w, status, "internal server error")
	case http.StatusConflict:
		writeError(w, status, "commit still has 1 active VM(s)")
	default:
		bare(w, status, text)
	}
}

// message is the true answer, sent in a wrong way.
type message struct {
	body               []byte
	length             int // what Content-Length says
	headRate, bodyRate int // bytes per second, 0 for all at once
}

// replay sends the true answer as change leaves it.
func (s *strike) replay(change func(*message)) {
	rec := newRecorder()
	s.answer(rec)
	m := message{body: rec.body.Bytes(), length: rec.body.Len()}
	change(&m)
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
		rec.status, http.StatusText(rec.status), rec.Header().Get("Content-Type"), m.length)
	s.w.status = rec.status
	conn := hijack(s.w)
	if conn == nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(s.sim.ctx, func() { _ = conn.Close() })
	defer stop()
	if s.sim.drip(conn, head, m.headRate) {
		s.sim.drip(conn, m.body, m.bodyRate)
	}
}

// drip writes data at rate bytes per second, or at once, and tells whether it
// could.
func (s *Sim) drip(conn net.Conn, data []byte, rate int) bool {
	for len(data) > 0 {
		n := len(data)
		if rate > 0 {
			n = min(n, max(rate/10, 1))
		}
		if _, err := conn.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
		if rate > 0 && !s.pause(s.ctx, time.Duration(n)*time.Second/time.Duration(rate)) {
			return false
		}
	}
	return true
}

func (s *strike) gzipBomb() {
	s.w.Header().Set("Content-Type", "application/json")
	s.w.Header().Set("Content-Encoding", "gzip")
	zip := gzip.NewWriter(s.w)
	defer zip.Close()
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for range 1 << 10 {
		if _, err := zip.Write(blanks); err != nil {
			return
		}
	}
}

func (s *strike) endless() {
	s.w.Header().Set("Content-Type", "application/json")
	chunk := []byte("[" + strings.Repeat("[],", 10_000))
	for s.r.Context().Err() == nil && s.sim.ctx.Err() == nil {
		if _, err := s.w.Write(chunk); err != nil {
			return
		}
		chunk[0] = ' '
	}
}

func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	bare(w, http.StatusFound, "")
}

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
	call.fault = f.Kind
	if f.Date != "" {
		w.Header().Set("Date", f.Date)
	}
	k, _ := f.kind() // checked when it was set
	k.api(&strike{sim: s, w: w, r: r, fault: f, answer: answer})
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

// hijack takes the connection away from the HTTP server.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}

// cutConn says last and resets the connection.
func cutConn(w http.ResponseWriter, last string) {
	conn := hijack(w)
	if conn == nil {
		return
	}
	if last != "" {
		_, _ = io.WriteString(conn, last)
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
