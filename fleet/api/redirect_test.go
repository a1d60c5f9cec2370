package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRedirectsThatAreFollowed(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/vms" {
			http.Redirect(w, r, "/v2/vms", http.StatusMovedPermanently)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+testKey {
			w.WriteHeader(401)
		}
		_, _ = fmt.Fprint(w, "[]")
	})
	c, _ := client(t, s.URL, nil)
	if _, err := c.VMs(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRedirectsThatAreNot: no key reaches another host, port or scheme, and
// nothing that changes something is sent twice.
func TestRedirectsThatAreNot(t *testing.T) {
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server got %s %s, Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	})
	secure, pool, _ := tlsServer(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	for _, status := range []int{301, 302, 303, 307, 308} {
		asked := 0
		plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			to := other.URL + "/vms"
			if r.URL.Path != "/vms" {
				to = "/elsewhere"
			}
			w.Header().Set("Location", to)
			w.WriteHeader(status)
		}))
		t.Cleanup(plain.Close)
		c, _ := client(t, plain.URL, nil)
		_, err := c.VMs(t.Context())
		e := failure(t, err, KindNotVers)
		if e.Status != status || !strings.Contains(e.Hint, other.URL) {
			t.Errorf("%d: got %+v", status, e)
		}
		asked = 0
		_, err = c.Commit(t.Context(), vmA, CommitRequest{CommitID: commitA})
		if e := failure(t, err, KindNotVers); asked != 1 || !e.Sent {
			t.Errorf("%d: commit sent %d times, %+v", status, asked, e)
		}
		err = c.SetState(t.Context(), vmA, StatePaused)
		if failure(t, err, KindNotVers); asked != 2 {
			t.Errorf("%d: state change sent %d times", status, asked-1)
		}

		secure.Config.Handler = http.RedirectHandler(strings.Replace(secure.URL, "https:", "http:", 1)+"/vms", status)
		c, _ = client(t, secure.URL, func(cfg *Config, _ *hooks) { cfg.RootCAs = pool })
		_, err = c.VMs(t.Context())
		if e := failure(t, err, KindNotVers); !strings.Contains(e.Detail, "http://") {
			t.Errorf("%d: got %+v", status, e)
		}
	}
}

func TestRedirectLoop(t *testing.T) {
	asked := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, fmt.Sprintf("/vms?%d", asked), http.StatusFound)
	})
	c, _ := client(t, s.URL, nil)
	_, err := c.VMs(t.Context())
	if e := failure(t, err, KindNotVers); asked != maxRedirects+1 || !strings.Contains(e.Detail, "circle") {
		t.Errorf("asked %d times, got %+v", asked, e)
	}
}

func TestRedirectNowhere(t *testing.T) {
	for _, to := range []string{"", "http://[", "https://u:p@api.example/", "javascript:alert(1)", "//other.example/vms"} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(302)
		})
		c, _ := client(t, s.URL, nil)
		_, err := c.VMs(t.Context())
		if e := failure(t, err, KindNotVers); strings.Contains(e.Hint+e.Error(), "u:p") {
			t.Errorf("%q: got %+v", to, e)
		}
	}
}
