package outage

import "testing"

// Where a published base URL does not answer as the API, the other is named.
func TestOtherBase(t *testing.T) {
	for base, want := range map[string]string{
		"https://api.vers.ai":           "https://api.vers.sh/api/v1",
		"https://API.vers.ai:443/":      "https://api.vers.sh/api/v1",
		"https://api.vers.sh/api/v1":    "https://api.vers.ai",
		"https://api.vers.sh":           "",
		"http://127.0.0.1:8080/api/v1/": "",
	} {
		a := &API{o: Options{Config: Config{BaseURL: base}}}
		if got := a.OtherBase(); got != want {
			t.Errorf("%s: got %q, want %q", base, got, want)
		}
	}
}
