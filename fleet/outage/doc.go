// Package outage owns the offline rule: ask the API first, let what was
// recorded answer only when the API is unreachable, and say which of the two an
// answer came from and when it was true. Ask is that rule, the only place that
// chooses between the two.
//
// It keeps the outage memory that all processes of a profile share, waits for
// the API, and says why it cannot be asked. It does not know what is asked or
// recorded: callers hand that in as functions. It never writes anything but the
// outage memory, and the endpoint and account that a profile belongs to.
package outage
