package outage

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/api"
	"github.com/vers-fleet/vers-fleet/keystore"
	"github.com/vers-fleet/vers-fleet/retry"
)

// The words of the leaves below that callers of this room say too.
type (
	// Config says where the API is and what it is called with.
	Config = api.Config
	// Policy says how long a call is repeated.
	Policy = retry.Policy
	// Urgency is how much somebody needs the API's answer while it is down.
	Urgency = retry.Urgency
	// Cause is why the API gave no answer.
	Cause = retry.Cause
)

// The urgencies beyond waiting for a probe that is due.
const (
	Soon = retry.Soon // somebody is looking
	Now  = retry.Now  // nothing recorded can answer
)

// Mode is how a question treats the API.
type Mode int

// The modes; see --offline, --live and --wait.
const (
	AsAsked Mode = iota // as the command line said
	Auto                // try, retry briefly, fall back to the cache
	Offline             // no API call at all
	Live                // no fallback
	Wait                // keep trying until the API answers
)

// Waiting describes a try of an API call, or a pause before the next.
type Waiting struct {
	What      string // what the caller is trying to do
	Attempt   int    // the attempt that failed, from 1; 0 during a try, and nothing else is set
	Reason    string
	Next      time.Time // when the next attempt starts
	DownSince time.Time // zero when the API is not known to be down
	Forecast  string    // what earlier outages say, "" when they say nothing
}

// Options is what an API is made of. All fields but Mode and WaitFor are
// required.
type Options struct {
	Config  Config
	Store   *keystore.Store
	Profile string // for the advice to use another one
	Retry   Policy
	Mode    Mode          // what AsAsked means; AsAsked is Auto
	WaitFor time.Duration // with Wait: give up after this long; 0 = never
	Probe   time.Duration // what Brief returns; 0 = ProbeTimeout
	Now     func() time.Time
	Warn    func(string)
	Logf    func(string, ...any)
	OnWait  func(Waiting) func() // shown while waiting; the result ends the display
}

// API is the platform's API as far as it can be reached. Its methods may be
// called concurrently.
type API struct {
	o       Options
	account *account
	memory  *retry.Memory
	foreign sync.Once // the warning of warnForeign

	heard atomic.Bool // by the API, to this process

	// client is built on first use, so that commands served by the cache
	// never read the API key.
	client func() (*api.Client, error)
}

// The retry budget of one process: so many retries, and a tenth of one more
// for each call that succeeds, however many VMs are worked on at once.
const (
	retryBudget = 20
	retryRefill = 0.1
)

// New makes an API. It makes no call and reads nothing.
func New(o Options) *API {
	if o.Mode == AsAsked {
		o.Mode = Auto
	}
	if o.Probe <= 0 {
		o.Probe = ProbeTimeout
	}
	o.Retry.Budget = retry.NewBudget(retryBudget, retryRefill)
	who := &account{fetch: o.Config.APIKey}
	o.Config.APIKey = who.apiKey
	a := &API{o: o, account: who, client: sync.OnceValues(func() (*api.Client, error) { return api.New(o.Config) })}
	a.memory = a.memoryOf(o.Config.BaseURL)
	return a
}

// Brief is how long a question may take that nobody would wait longer for.
func (a *API) Brief() time.Duration { return a.o.Probe }

// mode is what m means to this command.
func (a *API) mode(m Mode) Mode {
	if m == AsAsked {
		return a.o.Mode
	}
	return m
}

// CacheFirst reports whether what is recorded serves without a question: a key
// that is at hand, a name that is known, a connection that is open. Only --live
// wants the API's word for each.
func (a *API) CacheFirst(m Mode) bool { return a.mode(m) != Live }

// Forbidden reports whether the API must not be asked at all.
func (a *API) Forbidden(m Mode) bool { return a.mode(m) == Offline }

// Briefly is the mode for a question whose answer only explains something: it
// neither waits for the API nor insists on it.
func (a *API) Briefly(m Mode) Mode {
	if a.Forbidden(m) {
		return Offline
	}
	return Auto
}

// MustBeLive is the mode for what only the API can do: the cache does not
// stand in for it, as a name may have moved to another VM meanwhile.
func (a *API) MustBeLive() Mode {
	if a.o.Mode == Auto {
		return Live
	}
	return a.o.Mode
}

// BaseURL is the API's address.
func (a *API) BaseURL() string { return a.o.Config.BaseURL }

// Answered reports whether the API has answered this process.
func (a *API) Answered() bool { return a.heard.Load() }

// Client is the client of the API, which reads the API key when it is first
// asked for.
func (a *API) Client() (*api.Client, error) { return a.client() }

// memoryOf is the outage memory of what answers at a URL, a document in the
// profile's folder. Each endpoint has one of its own: that a mistyped api_url
// does not answer says nothing about the right one.
func (a *API) memoryOf(baseURL string) *retry.Memory {
	sum := sha256.Sum256([]byte(canonical(baseURL)))
	doc := a.o.Store.Doc("health-" + hex.EncodeToString(sum[:4]))
	return retry.NewMemory(doc.Volatile(), retry.MemoryOptions{Now: a.o.Now})
}
