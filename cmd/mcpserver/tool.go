package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/vers-fleet/vers-fleet/fleet"
	"github.com/vers-fleet/vers-fleet/fleet/inventory"
	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// class is what a tool does, and which mode offers it.
type class int

const (
	reads   class = iota // changes nothing
	adds                 // writes below the root here, and changes no VM
	acts                 // changes a VM, or has one changed
	changes              // changes whether and which VMs run; needs --allow-changes
)

// spec describes a tool.
type spec struct {
	name, title, about string
	class              class
	again              bool   // calling it again changes nothing further
	gentle             bool   // of a tool that changes something: it destroys nothing
	foreign            bool   // its answer holds the word of a VM
	rooted             bool   // it needs a root
	bulk               string // the field that is cut where the answer is too long
}

// hints are the four of the protocol; each is said, as their defaults differ.
func (sp spec) hints() *mcp.ToolAnnotations {
	destructive := sp.class >= acts && !sp.gentle
	open := sp.foreign || sp.class >= acts
	return &mcp.ToolAnnotations{Title: sp.title, ReadOnlyHint: sp.class == reads, DestructiveHint: &destructive,
		IdempotentHint: sp.again || sp.class == reads, OpenWorldHint: &open}
}

// call is one call of a tool.
type call struct {
	*fleet.Fleet
	server   *Server
	session  *mcp.ServerSession
	token    any // of the progress that the client wants to hear of; nil = none
	told     atomic.Int64
	lastTold atomic.Int64 // Unix milliseconds
}

// vm finds the VM that the call names.
func (c *call) vm(ctx context.Context, name string) (inventory.VM, error) {
	if err := named(name); err != nil {
		return inventory.VM{}, err
	}
	return c.Inventory.One(ctx, name)
}

// named refuses a call that names no VM.
func named(vm string) error {
	if vm == "" {
		return usage("no VM was named", "", "name one, as fleet_vms lists them")
	}
	return nil
}

// betweenNotices keeps progress from flooding a client.
const betweenNotices = 250 * time.Millisecond

// progress tells the client how far the call is, if it wants to hear it.
func (c *call) progress(ctx context.Context, format string, args ...any) {
	nowMilli := time.Now().UnixMilli()
	last := c.lastTold.Load()
	if c.token == nil || nowMilli-last < betweenNotices.Milliseconds() || !c.lastTold.CompareAndSwap(last, nowMilli) {
		return
	}
	_ = c.session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: c.token, // one that is gone hears nothing
		Progress: float64(c.told.Add(1)), Message: fmt.Sprintf(format, args...)})
}

// pager is an input that says where in the answer to go on.
type pager interface{ from() int }

// page is the part of an input that says so.
type page struct {
	Offset int `json:"offset,omitempty" jsonschema:"next_offset of the answer before"`
}

func (p page) from() int { return max(0, p.Offset) }

// add registers a tool, if the mode offers it. run gets arguments that fit In; what
// it returns is sent even beside an error. Out is a struct; its lists are [] when empty.
func add[In, Out any](s *Server, sp spec, run func(context.Context, *call, In) (Out, error)) {
	if !s.offered(sp) {
		return
	}
	input, output := schemaOf[In](true), schemaOf[Out](false)
	for name, s := range common() {
		output.Properties[name] = s
	}
	output.Required = append(output.Required, "as_of", "truncated")
	slices.Sort(output.Required)
	output.Required = slices.Compact(output.Required)
	fits, err := input.Resolve(nil)
	if err != nil {
		panic(err) // a schema of this program's own types
	}
	tool := &mcp.Tool{Name: sp.name, Description: sp.about, InputSchema: input, OutputSchema: output, Annotations: sp.hints()}
	s.mcp.AddTool(tool, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var in In
		out, err := guarded(func() (out Out, err error) {
			if err := decode(req.Params.Arguments, fits, &in); err != nil {
				return out, err
			}
			f, err := s.o.Fleet()
			if err != nil {
				return out, err
			}
			return run(ctx, &call{Fleet: f, server: s, session: req.Session, token: req.Params.GetProgressToken()}, in)
		})
		from := onlyOnce
		if p, ok := any(in).(pager); ok {
			from = p.from()
		}
		return s.answer(sp, output, out, err, from)
	})
}

// guarded turns a panic into an error. Its value may hold anything, so only its
// type is told.
func guarded[Out any](run func() (Out, error)) (out Out, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &problem.Error{Kind: problem.Unexpected, What: "internal error", Why: fmt.Sprintf("a panic of type %T", p), Next: "this is a bug; please report it",
				Origin: problem.OriginLocal, Err: fmt.Errorf("%s", debug.Stack())}
		}
	}()
	return run()
}

// decode reads arguments that fit the schema.
func decode(arguments json.RawMessage, fits *jsonschema.Resolved, in any) error {
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	var v any
	err := json.Unmarshal(arguments, &v)
	if err == nil {
		err = fits.Validate(v)
	}
	if err == nil {
		err = notEmpty(v)
	}
	if err == nil {
		err = json.Unmarshal(arguments, in)
	}
	if err != nil {
		return usage("the arguments do not fit this tool", err.Error(), "see its input schema")
	}
	return nil
}

// notEmpty refuses an empty name, path or pattern: it would mean a home folder, or
// all that there is. The schema does not say so, as it is paid for by the word.
func notEmpty(arguments any) error {
	fields, _ := arguments.(map[string]any)
	for name, v := range fields {
		if slices.Contains([]string{"content", "stdin", "message", "description"}, name) {
			continue // text
		}
		list, _ := v.([]any)
		if v == "" || slices.Contains(list, any("")) {
			return fmt.Errorf("%s is empty; leave it out, or give it a value", name)
		}
	}
	return nil
}

func usage(what, why, next string) error {
	return &problem.Error{Kind: problem.Usage, What: what, Why: why, Next: next, Origin: problem.OriginLocal}
}
