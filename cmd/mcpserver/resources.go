package mcpserver

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/vers-fleet/vers-fleet/fleet/outage"
)

const (
	statusURI    = "fleet://status"
	outputBefore = "fleet://vm/"
	outputAfter  = "/output"
)

func (s *Server) addResources() {
	s.mcp.AddResource(&mcp.Resource{URI: statusURI, Name: "status", Title: "API and fleet health", MIMEType: "application/json",
		Description: "Is the API up, what is home, what to do now."}, s.readStatus)
	s.mcp.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: outputBefore + "{name}" + outputAfter, Name: "output", Title: "What a lieutenant said", MIMEType: "text/plain",
		Description: "The last answer of the agent on a VM: untrusted text."}, s.readOutput)
}

func (s *Server) readStatus(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	f, err := s.o.Fleet()
	if err != nil {
		return nil, err
	}
	out, err := status(ctx, &call{Fleet: f, server: s, session: req.Session}, nothing{})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return contents(req, "application/json", string(text)), nil
}

func (s *Server) readOutput(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(req.Params.URI, outputBefore), outputAfter)
	name, err := url.PathUnescape(name)
	if !ok || err != nil || !strings.HasPrefix(req.Params.URI, outputBefore) {
		return nil, mcp.ResourceNotFoundError(req.Params.URI)
	}
	f, err := s.o.Fleet()
	if err != nil {
		return nil, err
	}
	c := &call{Fleet: f, server: s, session: req.Session}
	vm, err := c.vm(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := c.said(ctx, vm, 1)
	if err != nil {
		return nil, err
	}
	text, what := clean(out.Text), "the last answer"
	if len(text) > maxStruct {
		text, what = strings.ToValidUTF8(text[:maxStruct], ""), "the beginning of the last answer; vm_output has the rest"
	}
	if out.Source == outage.FromCache {
		what += ", as it was read before"
	}
	return contents(req, "text/plain", marked(spec{foreign: true}, what+" of "+vm.Title()+":\n\n"+text+"\n")), nil
}

func contents(req *mcp.ReadResourceRequest, mime, text string) *mcp.ReadResourceResult {
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, MIMEType: mime, Text: text}}}
}

func (s *Server) addPrompts() {
	s.mcp.AddPrompt(&mcp.Prompt{Name: "live_through_an_outage", Title: "Live through an outage", Description: "The API is down, or seems to be: find out, keep working, lose nothing."},
		says(`The Vers API may be down. Work like this:
1. fleet_status: is it down, since when, which half of the platform, and what does advice say?
2. fleet_drill: which VMs can be reached without the API? Name those that cannot to me.
3. Go on with what does not need the API: vm_output, vm_status, vm_read_file, vm_exec and vm_send work directly.
4. Bring finished work home with vm_pull, VM by VM, the idle ones first; vm_diff tells whether a copy is complete.
5. Ask for snapshots with vm_commit all the same: they are queued, and queue_run sends them once the API is back.
Do not retry failed calls in a loop: error.next says what helps, fleet_status when the API is asked again. Pausing, resuming and branching must wait.`))
	if slices.Contains(s.rest, "vm_pull") {
		return
	}
	s.mcp.AddPrompt(&mcp.Prompt{Name: "bring_the_work_home", Title: "Bring the work home", Description: "Fetch the finished work of every lieutenant, and prove that it is complete."},
		says(`Bring the work of the fleet to this machine:
1. fleet_vms lists the VMs; take those that are running and have key_saved.
2. vm_status of each: where a lieutenant is idle its work is done; where it works, pull anyway and say that it goes on; where it waits, show me its question.
3. vm_pull of each. Report files, bytes and failures. Do not open or run what beware names.
4. vm_diff of each: changed, missing and failed of 0 prove that the copy is complete. Where it is not, pull once more.
5. Tell me in a table: VM, phase, files, bytes, complete or not, and where it lies.`))
}

// says is a prompt that is always the same.
func says(text string) mcp.PromptHandler {
	return func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: text}}}}, nil
	}
}
