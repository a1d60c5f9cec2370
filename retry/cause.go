package retry

import (
	"strconv"
	"time"
)

// Cause is the kind of a failure, as it is counted and remembered.
type Cause string

// Causes other than an HTTP status, which is made by CauseHTTP. The last three are troubles of this machine.
const (
	CauseTimeout   Cause = "timeout"
	CauseRefused   Cause = "refused"
	CauseReset     Cause = "reset"
	CauseTruncated Cause = "truncated"
	CauseNotVers   Cause = "not_vers"
	CauseOther     Cause = "other"
	CauseNoNetwork Cause = "no_network"
	CauseDNS       Cause = "dns"
	CauseTLS       Cause = "tls"
)

const httpPrefix = "http_"

// CauseHTTP is the cause of an answer with a status that means "not now", such as 503.
func CauseHTTP(status int) Cause { return Cause(httpPrefix + strconv.Itoa(status)) }

// Text says the cause in words that complete "the problem is that ...".
func (c Cause) Text() string {
	switch c {
	case CauseTimeout:
		return "API does not answer in time"
	case CauseRefused:
		return "API refuses connections"
	case CauseReset:
		return "API drops connections"
	case CauseTruncated:
		return "API answers are cut off"
	case CauseNotVers:
		return "something other than the Vers API answers"
	case CauseNoNetwork:
		return "this machine has no network"
	case CauseDNS:
		return "DNS fails"
	case CauseTLS:
		return "TLS fails"
	}
	if len(c) > len(httpPrefix) && c[:len(httpPrefix)] == httpPrefix && digits(string(c[len(httpPrefix):])) {
		return "API answers " + string(c[len(httpPrefix):])
	}
	return "API fails"
}

// Failure is what a process tells the memory about calls that failed.
type Failure struct {
	Cause  Cause
	Detail string        // one line for people, without secrets; cut to 200 bytes
	Local  bool          // trouble of this machine, not of the API
	After  time.Duration // wait the server asked for; 0 = none
	Calls  int           // calls that failed, retries included; less than 1 counts as 1
}
