package openapitest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Handler serves next and reports to t every request and every answer that is
// not as the document says. Undocumented paths and statuses pass, and so do
// error answers that are not JSON: the live service has both.
func (v *Validator) Handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := v.ValidateRequest(r); err != nil && !errors.Is(err, ErrUndocumented) {
			t.Errorf("request: %v", err)
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		resp := rec.Result()
		if !liveError(resp) {
			if err := v.ValidateResponse(r, resp); err != nil && !errors.Is(err, ErrUndocumented) {
				t.Errorf("answer: %v", err)
			}
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// liveError reports whether an answer is one of the errors that the live
// service sends as plain text.
func liveError(resp *http.Response) bool {
	return resp.StatusCode >= 400 && resp.Header.Get("Content-Type") != "application/json"
}
