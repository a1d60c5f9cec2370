package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names what goes wrong. A number from 400 to 599 is a status the API
// answers with; the other kinds are the constants below.
type Kind string

// The faults of the REST API. "After" kinds let the server act first, which
// is what makes a client's retry dangerous.
const (
	KindHang         Kind = "hang"          // the request is taken and never answered
	KindHangAfter    Kind = "hang-after"    // acts, then never answers
	KindReset        Kind = "reset"         // the connection is reset before acting
	KindResetAfter   Kind = "reset-after"   // acts, then resets
	Kind503After     Kind = "503-after"     // acts, then answers 503
	KindFlaky        Kind = "flaky"         // 503 with a probability, or on every n-th call
	KindTruncated    Kind = "truncated"     // half of the body, then the end
	KindSlow         Kind = "slow"          // the body at Rate bytes per second
	KindSlowHeaders  Kind = "slow-headers"  // the headers at Rate bytes per second
	KindHTML         Kind = "html"          // 200 with a portal's HTML page
	KindEmpty        Kind = "empty"         // 200 with nothing
	KindGarbage      Kind = "garbage"       // 200 with bytes that are not JSON
	KindNotHTTP      Kind = "not-http"      // an answer that is not HTTP
	KindWrongLength  Kind = "wrong-length"  // Content-Length says half of the body
	KindGzipBomb     Kind = "gzip-bomb"     // a small body that unpacks to 1 GiB
	KindEndless      Kind = "endless"       // a body that never ends
	KindDeepJSON     Kind = "deep-json"     // JSON nested a million deep
	KindRedirectLoop Kind = "redirect-loop" // 302 to itself
	KindRedirectHost Kind = "redirect-host" // 302 to another host that records the key
	KindRedirectHTTP Kind = "redirect-http" // 302 to plain http (only worth it with APITLS)
	KindUnauthorized Kind = "unauthorized"  // 401, empty body
	KindForbidden    Kind = "forbidden"     // 403, the live service's plain text
	KindNotFound     Kind = "notfound"      // 404 without JSON, as from a wrong base URL
	KindLatency      Kind = "latency"       // every answer Latency later; adds to other faults
)

// The faults of the VM gateway.
const (
	KindGatewayDown      Kind = "gateway-down"      // connections are reset at once
	KindGatewayHang      Kind = "gateway-hang"      // connections are taken, nothing is said
	KindGatewayLatency   Kind = "gateway-latency"   // a connection begins Latency later
	KindGatewayReset     Kind = "gateway-reset"     // connections are reset after Bytes bytes
	KindGatewayCert      Kind = "gateway-cert"      // a certificate for another name
	KindGatewayExpired   Kind = "gateway-expired"   // a certificate that has run out
	KindGatewayUntrusted Kind = "gateway-untrusted" // a certificate of an unknown CA
)

// Fault is one thing that goes wrong, and for which calls.
type Fault struct {
	Kind         Kind          `json:"kind"`
	RetryAfter   string        `json:"retry_after,omitempty"`    // raw header of an error status
	RetryAfterMs string        `json:"retry_after_ms,omitempty"` // raw header of an error status
	Date         string        `json:"date,omitempty"`           // raw Date header (clock skew)
	Latency      time.Duration `json:"latency_ns,omitempty"`
	Rate         int           `json:"rate,omitempty"`  // bytes per second of slow kinds; 0 means 1
	Bytes        int64         `json:"bytes,omitempty"` // of gateway-reset; 0 means 64 KiB
	Endpoint     string        `json:"endpoint,omitempty"`
	Method       string        `json:"method,omitempty"`
	VM           string        `json:"vm,omitempty"`    // name or id; only calls about this VM
	Count        int           `json:"count,omitempty"` // only the next Count calls; 0 means all
	Every        int           `json:"every,omitempty"` // only every n-th call
	Probability  float64       `json:"probability,omitempty"`
}

// Gateway reports whether the fault is one of the VM gateway.
func (f Fault) Gateway() bool { return strings.HasPrefix(string(f.Kind), "gateway-") }

// status is the HTTP status of a numeric kind, 0 for the others.
func (f Fault) status() int {
	n, err := strconv.Atoi(string(f.Kind))
	if err != nil || n < 400 || n > 599 {
		return 0
	}
	return n
}

// Kinds lists the names of all faults that are not a status.
func Kinds() []Kind {
	return []Kind{
		KindHang, KindHangAfter, KindReset, KindResetAfter, Kind503After, KindFlaky, KindTruncated,
		KindSlow, KindSlowHeaders, KindHTML, KindEmpty, KindGarbage, KindNotHTTP, KindWrongLength,
		KindGzipBomb, KindEndless, KindDeepJSON, KindRedirectLoop, KindRedirectHost, KindRedirectHTTP,
		KindUnauthorized, KindForbidden, KindNotFound, KindLatency,
		KindGatewayDown, KindGatewayHang, KindGatewayLatency, KindGatewayReset,
		KindGatewayCert, KindGatewayExpired, KindGatewayUntrusted,
	}
}

// Endpoints lists the names a Fault's Endpoint can have.
func Endpoints() []string {
	return []string{
		"vms", "status", "metadata", "ssh_key", "commit", "commits", "parents", "branch",
		"from_commit", "new_root", "state", "label", "delete", "health",
	}
}

// Check reports what is wrong with a fault, in words for a person.
func (f Fault) Check() error {
	if f.status() == 0 && !slices.Contains(Kinds(), f.Kind) {
		return fmt.Errorf("unknown fault %q: a status from 400 to 599, or one of %s", f.Kind, joinKinds())
	}
	if f.Endpoint != "" && !slices.Contains(Endpoints(), f.Endpoint) {
		return fmt.Errorf("unknown endpoint %q: one of %s", f.Endpoint, strings.Join(Endpoints(), ", "))
	}
	if f.Gateway() && (f.Endpoint != "" || f.Method != "") {
		return fmt.Errorf("fault %s is one of the VM gateway: it has no endpoint or method", f.Kind)
	}
	if f.Probability < 0 || f.Probability > 1 {
		return fmt.Errorf("probability %g: must be between 0 and 1", f.Probability)
	}
	if f.Count < 0 || f.Every < 0 || f.Rate < 0 || f.Bytes < 0 || f.Latency < 0 {
		return fmt.Errorf("fault %s: a negative number makes no sense", f.Kind)
	}
	if (f.Kind == KindLatency || f.Kind == KindGatewayLatency) && f.Latency == 0 {
		return fmt.Errorf("fault %s needs a duration, such as %s=200ms", f.Kind, f.Kind)
	}
	return nil
}

func joinKinds() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}
