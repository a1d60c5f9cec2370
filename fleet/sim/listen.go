package sim

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
)

// httpListener is an HTTP server with its socket.
type httpListener struct {
	server   *http.Server
	listener net.Listener
}

func listenHTTP(addr string, handler http.Handler, tlsConfig *tls.Config) (*httpListener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	h := &httpListener{listener: l, server: &http.Server{
		Handler:  handler,
		ErrorLog: log.New(io.Discard, "", 0), // cut connections are this server's trade
	}}
	if tlsConfig != nil {
		l = tls.NewListener(l, tlsConfig)
	}
	go func() { _ = h.server.Serve(l) }() // ends with close
	return h, nil
}

func (h *httpListener) addr() string { return h.listener.Addr().String() }

func (h *httpListener) close() error {
	if h == nil {
		return nil
	}
	return h.server.Close()
}
