package api

// Kind says what went wrong with a call, as far as a caller must know to act.
type Kind int

// The kinds of failure.
const (
	KindUnavailable Kind = iota + 1 // the API answered 408, 425, 429 or 5xx
	KindTimeout                     // no answer in time; Error.Stage says how far it came
	KindRefused                     // no connection: refused, or the host cannot be reached
	KindReset                       // the connection broke before an answer
	KindTruncated                   // the answer broke off
	KindNotVers                     // something answered, but not the Vers API
	KindNoNetwork                   // this machine has no network
	KindDNS                         // the host name cannot be looked up
	KindTLS                         // no trusted TLS connection
	KindProxy                       // the proxy of the environment does not let the call through
	KindAuth                        // the API key was refused (401, 403)
	KindNoKey                       // there is no API key to send, or none that can be sent
	KindNotFound                    // no such VM or commit
	KindConflict                    // 409
	KindInvalid                     // the request was refused as wrong (400, 422), or is, before sending
	KindTooLarge                    // the answer is larger than any real one
	KindMismatch                    // the answer is about another VM or commit than asked for
	KindCanceled                    // the caller gave up
)

// kindInfo is one row of the table that says all there is to say about a kind.
type kindInfo struct {
	name        string // stable, for machines
	text        string // for people; after "host/path: "
	unreachable bool   // no answer of the API at all
	local       bool   // the cause is (most likely) on this machine or its network
	transient   bool   // may go away by itself within the time a retry takes
}

func (k Kind) info() kindInfo {
	switch k {
	case KindUnavailable:
		return kindInfo{"unavailable", "the API answers", true, false, true}
	case KindTimeout:
		return kindInfo{"timeout", "no answer in time", true, false, true}
	case KindRefused:
		return kindInfo{"refused", "cannot connect", true, false, true}
	case KindReset:
		return kindInfo{"reset", "the connection broke before an answer came", true, false, true}
	case KindTruncated:
		return kindInfo{"truncated", "the answer broke off", true, false, true}
	case KindNotVers:
		return kindInfo{"not_vers", "this is not an answer of the Vers API", true, false, false}
	case KindNoNetwork:
		return kindInfo{"no_network", "this machine has no network", true, true, true}
	case KindDNS:
		return kindInfo{"dns", "DNS fails", true, true, true}
	case KindTLS:
		return kindInfo{"tls", "TLS fails", true, true, false}
	case KindProxy:
		return kindInfo{"proxy", "the proxy does not let the call through", true, true, true}
	default:
		return k.answerInfo()
	}
}

// answerInfo is the other half of the table: kinds that are no sign of an
// unreachable API.
func (k Kind) answerInfo() kindInfo {
	switch k {
	case KindAuth:
		return kindInfo{name: "auth", text: "the API key was refused"}
	case KindNoKey:
		return kindInfo{name: "no_key", text: "no usable API key"}
	case KindNotFound:
		return kindInfo{name: "not_found", text: "no such VM or commit"}
	case KindConflict:
		return kindInfo{name: "conflict", text: "the API reports a conflict"}
	case KindInvalid:
		return kindInfo{name: "invalid", text: "the request was refused"}
	case KindTooLarge:
		return kindInfo{name: "too_large", text: "the answer is larger than any of the Vers API", unreachable: true}
	case KindMismatch:
		return kindInfo{name: "mismatch", text: "the answer is about something else than was asked for"}
	case KindCanceled:
		return kindInfo{name: "canceled", text: "interrupted"}
	default:
		return kindInfo{name: "unknown", text: "the call failed"}
	}
}

// String returns the kind's stable snake_case name.
func (k Kind) String() string { return k.info().name }

// Unreachable reports whether the API gave no answer: none at all, 408, 425,
// 429 or 5xx, or one that is not of the API. Only then may what was recorded
// serve instead.
func (k Kind) Unreachable() bool { return k.info().unreachable }

// Local reports whether the cause lies with this machine or its network, so
// that it says nothing about the health of the API.
func (k Kind) Local() bool { return k.info().local }
