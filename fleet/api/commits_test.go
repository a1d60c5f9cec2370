package api

import (
	"fmt"
	"net/http"
	"testing"
)

// A listing is asked page by page; one that grows meanwhile, claims another sum
// than it has, or never ends, ends all the same.
func TestCommitsAreListedByPages(t *testing.T) {
	for name, tc := range map[string]struct {
		has, total, want int
		more             bool
	}{
		"none":                   {0, 0, 0, false},
		"one page":               {100, 100, 100, false},
		"three":                  {250, 250, 250, false},
		"says too few":           {250, 120, 200, false},
		"says nothing":           {250, 0, 250, false},
		"says too many":          {130, 9000, 130, false},
		"says less than nothing": {130, -7, 130, false},
		"more than are listed":   {MaxCommits + 500, MaxCommits + 500, MaxCommits, true},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls++
				var limit, offset int
				_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
				_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprint(w, `{"commits":[`)
				for i := offset; i < min(offset+limit, tc.has); i++ {
					if i > offset {
						_, _ = fmt.Fprint(w, ",")
					}
					_, _ = fmt.Fprintf(w, `{"commit_id":"00000000-0000-4000-8000-%012d","name":"n","created_at":"2026-02-24T03:20:00Z"}`, i)
				}
				_, _ = fmt.Fprintf(w, `],"total":%d,"limit":%d,"offset":%d}`, tc.total, limit, offset)
			})
			cl, _ := client(t, s.URL, nil)
			list, more, err := cl.Commits(t.Context())
			if err != nil || len(list) != tc.want || more != tc.more || calls > tc.want/commitPageSize+2 {
				t.Errorf("%d commits, more %t, %d calls, %v", len(list), more, calls, err)
			}
		})
	}
}

// What is no list of commits is none, and is not taken for an empty one.
func TestCommitsOfAForeignAnswer(t *testing.T) {
	for _, answer := range []string{"[]", "{}", `{"commits":null}`, `{"commits":[7]}`, `{"commits":[{"commit_id":"../x"}],"total":1}`} {
		s, _ := recording(t, 200, answer)
		cl, _ := client(t, s.URL, nil)
		if list, _, err := cl.Commits(t.Context()); err == nil {
			t.Errorf("%s: %v", answer, list)
		}
	}
}
