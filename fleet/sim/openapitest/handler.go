package openapitest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Handler serves next and reports to t every answer that is not exactly as
// described. A request that is not as described may not succeed.
func (v *Validator) Handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		badRequest := v.ValidateRequest(r)
		seen := r.Clone(r.Context())
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if err := validateResponse(v.exact, seen, rec.Result()); err != nil {
			t.Errorf("answer: %v", err)
		}
		if badRequest != nil && rec.Code < 400 {
			t.Errorf("answered with status %d: %v", rec.Code, badRequest)
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}
