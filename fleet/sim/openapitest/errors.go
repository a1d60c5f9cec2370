package openapitest

import (
	"encoding/json"
	"net/http"
	"testing"
)

// ErrorAnswer is one form of error that the description has for an operation.
type ErrorAnswer struct {
	Status            string // three digits, or 5XX
	ContentType, Body string
}

// Errors returns every form of error that r can be answered with.
func (v *Validator) Errors(t testing.TB, r *http.Request) []ErrorAnswer {
	t.Helper()
	in, err := input(v.exact, r)
	if err != nil {
		t.Fatal(err)
	}
	var out []ErrorAnswer
	for status, response := range in.Route.Operation.Responses.Map() {
		if status[0] < '4' {
			continue
		}
		if len(response.Value.Content) == 0 {
			out = append(out, ErrorAnswer{Status: status})
		}
		for contentType, media := range response.Value.Content {
			text, isText := media.Example.(string)
			if !isText {
				data, err := json.Marshal(media.Example)
				if err != nil {
					t.Fatal(err)
				}
				text = string(data)
			}
			out = append(out, ErrorAnswer{status, contentType, text})
		}
	}
	return out
}
