package sim

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
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
