// Package api is the client of the platform's REST API and the only user of
// net/http as a client in this program. It owns the wire types, says what kind
// of failure a failure is ([Kind]), and hands out values whose ids, labels and
// texts have been checked.
//
// One call is one attempt: trying again, remembering outages and falling back
// to what was recorded are the business of the packages above. What a caller
// needs to decide that is in [Error]: the Kind, whether the request may have
// reached the server (Sent), and a [retry.Hint].
//
// It never writes files, never prints, never sends the API key to another host
// than the one configured, and never puts a key into an error or a log line.
package api
