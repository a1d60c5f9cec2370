package fleet_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/fleet/fleettest"
	"github.com/vers-fleet/vers-fleet/fleet/outage"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/sim"
	"github.com/vers-fleet/vers-fleet/fleet/sim/simtest"
)

// fate is how one fault ends for each kind of work: the kinds of the errors,
// which cmd/exit.go maps to exit codes, and the source of a listing.
type fate struct {
	source outage.Source // of vms; "" when it fails, or either
	list   problem.Kind  // vms
	key    problem.Kind  // ssh to a VM whose key is not recorded, keys sync
	commit problem.Kind
	local  bool // the error says that the trouble is this machine's
}

// either source or outcome is right.
const either = "either"

// The fates. With a recorded key ssh and pull work in all of them.
func works() fate { return fate{source: outage.FromAPI} }
func mayWork() fate {
	return fate{source: either, key: either, commit: either}
}
func refused(k problem.Kind) fate { return fate{list: k, key: k, commit: k} }

// unsent: no request can have reached the API, so nothing is left to settle.
func unsent() fate {
	return fate{source: outage.FromCache, key: problem.Unavailable, commit: problem.Unavailable}
}

// here is unsent with the cause on this machine.
func here() fate {
	f := unsent()
	f.local = true
	return f
}

// doubtful: a request may have reached the API, so a commit stays queued.
func doubtful() fate {
	return fate{source: outage.FromCache, key: problem.Unavailable, commit: problem.Queued}
}

// faultCase is one row of the matrix. prepare changes the world before it is
// recorded, strike makes the fault.
type faultCase struct {
	name    string
	sim     sim.Config
	prepare func(t *testing.T, w *fleettest.World)
	strike  func(t *testing.T, w *fleettest.World)
	want    fate
	alone   bool // one piece of work after the other, as it counts calls
	soon    bool // must be over well before the time that the server asks for
	// deadlines are the API's own, unless nothing else ends a call: how fast the
	// machine is decides nothing.
	deadlines api.Timeouts
}

// unconnected is a row in which no connection comes about.
func unconnected(c faultCase) faultCase {
	c.deadlines = api.Timeouts{Connect: faultCall}
	return c
}

// unanswered is a row in which an answer, or its end, does not come.
func unanswered(c faultCase) faultCase {
	c.deadlines = api.Timeouts{Headers: faultCall, Whole: faultWhole, Action: faultWhole}
	return c
}

// by is a row for a fault of the simulator.
func by(name string, f sim.Fault, want fate) faultCase {
	return faultCase{name: name, want: want, strike: func(_ *testing.T, w *fleettest.World) { w.Fault(f) }}
}

// served is a row for an API at another address.
func served(name string, want fate, base func(t *testing.T, w *fleettest.World) string) faultCase {
	return faultCase{name: name, want: want, strike: func(t *testing.T, w *fleettest.World) { w.Options.API.BaseURL = base(t, w) }}
}

func waits() []faultCase {
	const junk = "\x01soon; drop table"
	var rows []faultCase
	for name, f := range map[string]sim.Fault{
		"503 retry after 20 s":          {RetryAfter: "20"},
		"503 retry at a date":           {RetryAfter: time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)},
		"503 retry at a date long past": {RetryAfter: "Tue, 24 Feb 1998 03:20:00 GMT"},
		"503 retry after 20 ms":         {RetryAfterMs: "20"},
		"503 retry after junk":          {RetryAfter: strings.TrimLeft(junk, "\x01"), RetryAfterMs: "1e9"},
		"503 retry after ages":          {RetryAfter: strings.Repeat("9", 40)},
		"503 retry after years":         {RetryAfter: "999999999"},
		"503 retry after -5":            {RetryAfter: "-5", RetryAfterMs: "-5"},
		"503 and a clock of 1998":       {RetryAfter: "Tue, 24 Feb 1998 03:20:20 GMT", Date: "Tue, 24 Feb 1998 03:20:00 GMT"},
	} {
		f.Kind = "503"
		row := by(name, f, doubtful())
		switch name {
		case "503 retry after 20 s", "503 retry at a date", "503 retry after years", "503 and a clock of 1998":
			row.soon = true
		}
		rows = append(rows, row)
	}
	return rows
}

func statuses() []faultCase {
	rows := []faultCase{
		by("401", sim.Fault{Kind: "401"}, refused(problem.Auth)),
		by("403", sim.Fault{Kind: "403"}, refused(problem.Auth)),
		by("404 of another site", sim.Fault{Kind: "notfound"}, doubtful()),
		by("503 now and then", sim.Fault{Kind: "flaky", Probability: 0.5}, mayWork()),
	}
	for _, status := range []string{"418", "422"} { // in plain text: no such answer to a mere question
		rows = append(rows, by(string(status), sim.Fault{Kind: status}, doubtful()))
	}
	rows = append(rows, by("409 in the API's words", sim.Fault{Kind: "409"}, fate{list: problem.Refused, key: problem.Refused, commit: problem.Queued}))
	everyOther := by("503 every other call", sim.Fault{Kind: "503", Every: 2}, works())
	everyOther.alone = true
	rows = append(rows, everyOther)
	for _, status := range []string{"408", "425", "429", "500", "502", "503", "504"} {
		rows = append(rows, by(string(status), sim.Fault{Kind: status}, doubtful()))
	}
	return rows
}

func brokenAnswers() []faultCase {
	var rows []faultCase
	for _, f := range []sim.Fault{{Kind: "hang"}, {Kind: "hang-after"}, {Kind: "slow-headers", Rate: 1}, {Kind: "slow", Rate: 1},
		{Kind: "gzip-bomb"}, {Kind: "endless"}} { // these two end by their size, on a fast machine
		rows = append(rows, unanswered(by(string(f.Kind), f, doubtful())))
	}
	for _, f := range []sim.Fault{
		{Kind: "reset"}, {Kind: "reset-after"}, {Kind: "503-after"}, {Kind: "truncated"},
		{Kind: "wrong-length"}, {Kind: "deep-json"},
		{Kind: "garbage"}, {Kind: "empty"}, {Kind: "not-http"}, {Kind: "html"},
		{Kind: "redirect-loop"}, {Kind: "redirect-host"},
	} {
		rows = append(rows, by(string(f.Kind), f, doubtful()))
	}
	downgrade := by("redirect from https to http", sim.Fault{Kind: "redirect-host"}, doubtful())
	downgrade.sim.APITLS = true
	return append(rows, downgrade)
}

func networkTroubles() []faultCase {
	return []faultCase{
		served("refused port", unsent(), func(t *testing.T, _ *fleettest.World) string { return "http://" + closedPort(t, "127.0.0.1") }),
		unconnected(served("black-holed SYN", unsent(), func(t *testing.T, _ *fleettest.World) string { return "http://" + simtest.BlackHole(t, "127.0.0.1:0") })),
		served("nothing at the IPv6 address", unsent(), func(t *testing.T, _ *fleettest.World) string { return "http://" + closedPort(t, "::1") }),
		served("no such host", here(), func(*testing.T, *fleettest.World) string { return "http://gone.nx.test.:80" }),
		served("name server fails", here(), func(*testing.T, *fleettest.World) string { return "http://api.servfail.test.:80" }),
		unconnected(served("name server is silent", here(), func(*testing.T, *fleettest.World) string { return "http://api.silent.test.:80" })),
		served("expired certificate", here(), func(t *testing.T, w *fleettest.World) string { return tlsAPI(t, w, badCert{expired: true}) }),
		served("certificate of another name", here(), func(t *testing.T, w *fleettest.World) string { return tlsAPI(t, w, badCert{name: "portal.example"}) }),
		served("certificate of an unknown authority", here(), func(t *testing.T, w *fleettest.World) string { return tlsAPI(t, w, badCert{untrusted: true}) }),
		served("http on the https port", here(), func(_ *testing.T, w *fleettest.World) string {
			return strings.Replace(w.Options.API.BaseURL, "http://", "https://", 1)
		}),
		{name: "this machine's clock is years behind", sim: sim.Config{APITLS: true}, want: here(), strike: func(_ *testing.T, w *fleettest.World) {
			w.Options.API.Now = func() time.Time { return time.Now().AddDate(-10, 0, 0) }
		}},
		{name: "dead IPv6 beside live IPv4", want: works(), prepare: func(_ *testing.T, w *fleettest.World) {
			w.Options.API.BaseURL = strings.Replace(w.Options.API.BaseURL, "127.0.0.1", "api.dual.test.", 1)
		}, strike: func(*testing.T, *fleettest.World) {}},
	}
}

func faultTable() []faultCase {
	rows := append(waits(), statuses()...)
	rows = append(rows, brokenAnswers()...)
	return append(rows, networkTroubles()...)
}
