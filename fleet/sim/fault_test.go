package sim

import (
	"strings"
	"testing"
	"time"
)

func TestParseFault(t *testing.T) {
	for _, c := range []struct {
		args string
		want Fault
		err  string
	}{
		{args: "503", want: Fault{Kind: "503"}},
		{args: "503 --retry-after 20 --endpoint=ssh_key --count 3", want: Fault{Kind: "503", RetryAfter: "20", Endpoint: "ssh_key", Count: 3}},
		{args: "--retry-after -1 429", want: Fault{Kind: "429", RetryAfter: "-1"}},
		{args: "flaky", want: Fault{Kind: "flaky"}},
		{args: "flaky=0.3", want: Fault{Kind: "flaky", Probability: 0.3}},
		{args: "flaky=1/2", want: Fault{Kind: "flaky", Every: 2}},
		{args: "latency=200ms", want: Fault{Kind: "latency", Latency: 200 * time.Millisecond}},
		{args: "slow=100 --method POST", want: Fault{Kind: "slow", Rate: 100, Method: "POST"}},
		{args: "gateway-down --vm marketing", want: Fault{Kind: "gateway-down", VM: "marketing"}},
		{args: "gateway-reset=1000", want: Fault{Kind: "gateway-reset", Bytes: 1000}},
		{args: "off", want: Fault{Kind: "off"}},
		{args: "", err: "one fault is needed"},
		{args: "boom", err: "unknown fault"},
		{args: "200", err: "unknown fault"},
		{args: "latency", err: "latency=200ms"},
		{args: "latency=soon", err: "--latency"},
		{args: "flaky=2", err: "between 0 and 1"},
		{args: "503=20", err: "takes no value"},
		{args: "503 20", err: "one fault is needed"},
		{args: "503 --endpoint nowhere", err: "unknown endpoint"},
		{args: "503 --count", err: "needs an argument"},
		{args: "503 --count -2", err: "negative"},
		{args: "503 --what 1", err: "unknown flag"},
		{args: "gateway-down --endpoint vms", err: "no endpoint"},
		{args: "off --count 1", err: "takes no options"},
	} {
		got, err := ParseFault(strings.Fields(c.args))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.args, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %+v %v", c.args, got, err)
		}
	}
}

// Every fault that is declared says what it does, and does something.
func TestFaultKindsAreWhole(t *testing.T) {
	for _, k := range FaultKinds() {
		if k.Help() == "" || k.ofGateway() && k.api != nil || !k.ofGateway() && k.gateway != nil {
			t.Errorf("%s: %q", k.Name(), k.Help())
		}
		if k.value != "" && new(Fault).Flags().Lookup(k.value) == nil {
			t.Errorf("%s takes the value of no option: %s", k.Name(), k.value)
		}
	}
}

func TestAPIFaults(t *testing.T) {
	s := start(t, Config{Still: true})
	for _, c := range []struct {
		fault  string
		status int // 0: no whole answer
		body   string
	}{
		{"503", 503, "503 Service Unavailable"}, {"500", 500, "internal server error"}, {"502", 502, "<html>"}, {"504", 504, "<html>"},
		{"429", 429, "429 Too Many Requests"}, {"401", 401, ""}, {"403", 403, "403 Forbidden"}, {"reset", 0, ""}, {"reset-after", 0, ""},
		{"503-after", 503, "503"}, {"flaky=1", 503, "503"}, {"truncated", 0, "unexpected EOF"}, {"slow=100000", 200, "vm_id"},
		{"slow-headers=100000", 200, "vm_id"}, {"html", 200, "guest network"}, {"empty", 200, ""}, {"garbage", 200, "vm_id"}, {"not-http", 0, "malformed HTTP"},
		{"wrong-length", 200, "vm_id"}, {"gzip-bomb", 200, "   "}, {"endless", 200, "[],"}, {"deep-json", 200, "[[["}, {"redirect-loop", 302, ""},
		{"redirect-host", 302, ""}, {"notfound", 404, "404 page not found"},
		{"latency=20ms", 200, "vm_id"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			f, err := ParseFault([]string{c.fault})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetFault(f); err != nil {
				t.Fatal(err)
			}
			r := call(t, s, "GET", "/vms", "")
			s.ClearFaults()
			if r.status != c.status || !strings.Contains(r.body, c.body) {
				t.Errorf("status %d, body %.80q", r.status, r.body)
			}
			if r.status == 302 && r.header.Get("Location") == "" {
				t.Error("no Location")
			}
		})
	}
	if r := call(t, s, "GET", "/vms", ""); r.status != 200 {
		t.Errorf("after all faults: %d", r.status)
	}
}

func TestActsBeforeFailing(t *testing.T) {
	s := start(t, Config{Still: true})
	path := "/vm/" + MarketingID + "/commit"
	for i, kind := range []string{"reset", "503", "reset-after", "503-after"} {
		if err := s.SetFault(Fault{Kind: kind, Endpoint: "commit", Count: 1}); err != nil {
			t.Fatal(err)
		}
		if r := call(t, s, "POST", path, "{}"); r.status == 201 {
			t.Errorf("%s: answered %+v", kind, r)
		}
		if got, want := len(s.Commits()), max(i-1, 0); got != want {
			t.Errorf("after %s: %d commits, want %d", kind, got, want)
		}
	}
}

func TestHangAfter(t *testing.T) {
	s := start(t, Config{Still: true})
	if err := s.SetFault(Fault{Kind: "hang-after", Endpoint: "commit", Count: 1}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan reply, 1)
	go func() { answered <- call(t, s, "POST", "/vm/"+MarketingID+"/commit", "{}") }()
	for len(s.Commits()) == 0 {
		select {
		case r := <-answered:
			t.Fatalf("answered %+v", r)
		case <-time.After(time.Millisecond):
		}
	}
	_ = s.Close() // ends the hanging call
	if r := <-answered; r.status != 0 {
		t.Errorf("answered %+v", r)
	}
}

func TestFaultFilters(t *testing.T) {
	s := start(t, Config{Still: true})
	status := func(path string) int { return call(t, s, "GET", path, "").status }
	set := func(line string) {
		t.Helper()
		f, err := ParseFault(strings.Fields(line))
		if err == nil {
			err = s.SetFault(f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("503 --endpoint ssh_key --retry-after 7")
	r := call(t, s, "GET", "/vm/"+MarketingID+"/ssh_key", "")
	if r.status != 503 || r.header.Get("Retry-After") != "7" || status("/vms") != 200 {
		t.Errorf("endpoint filter: %+v", r)
	}
	s.ClearFaults()
	set("503 --count 2")
	if a, b, c := status("/vms"), status("/vms"), status("/vms"); a != 503 || b != 503 || c != 200 || len(s.faults.list()) != 0 {
		t.Errorf("count: %d %d %d", a, b, c)
	}
	set("503 --every 2")
	if a, b, c := status("/vms"), status("/vms"), status("/vms"); a != 200 || b != 503 || c != 200 {
		t.Errorf("every: %d %d %d", a, b, c)
	}
	set("hang")
	set("500 --vm marketing")
	if got := status("/vm/" + MarketingID + "/status"); got != 500 {
		t.Errorf("newest fault first: %d", got)
	}
	set("502")
	if got := s.faults.list(); len(got) != 2 || got[1].Kind != "502" {
		t.Errorf("502 does not replace hang: %+v", got)
	}
	if err := s.SetFault(Fault{Kind: "503", VM: "nobody"}); err == nil {
		t.Error("fault for an unknown VM accepted")
	}
}

func TestRedirectTrap(t *testing.T) {
	s := start(t, Config{Still: true})
	if err := s.SetFault(Fault{Kind: "redirect-host"}); err != nil {
		t.Fatal(err)
	}
	to := call(t, s, "GET", "/vms", "").header.Get("Location")
	if !strings.HasPrefix(to, "http://localhost:") {
		t.Errorf("leads to %q", to)
	}
}
