package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// What a gateway answers from its record is no answer of the API, whatever it says.
func TestRecordedAnswerIsUnreachable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, value string
		status              int
		want                Kind
	}{
		{"plain", "", "", 200, 0},
		{"as of", AsOfHeader, "2026-02-24T03:20:00Z", 200, KindRecorded},
		{"as of, not found", AsOfHeader, "2026-02-24T03:20:00Z", 404, KindRecorded},
		{"stale hit", "Cache-Status", "vers-fleet; hit; ttl=-376", 200, KindRecorded},
		{"stale hit of the second cache", "Cache-Status", `near; fwd=uri-miss, "far";hit;ttl=-1`, 200, KindRecorded},
		{"fresh hit", "Cache-Status", "near; hit; ttl=30", 200, 0},
		{"miss that was old", "Cache-Status", "near; fwd=stale; ttl=-3", 200, 0},
		{"passed on", "Cache-Status", "vers-fleet; fwd=bypass", 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set(c.header, c.value)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(`[]`))
			}))
			defer s.Close()
			api, _ := client(t, s.URL, nil)
			_, err := api.VMs(t.Context())
			var e *Error
			switch errors.As(err, &e); {
			case c.want == 0 && err != nil:
				t.Error(err)
			case c.want != 0 && (e == nil || e.Kind != c.want || !e.Kind.Unreachable()):
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}
