package mcpserver

import (
	"context"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	canaryOwner = "0f8f2b84-0fcd-409d-95a8-0d232316aa17"
	canaryRest  = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
	canaryKey   = canaryOwner + canaryRest
	canaryBody  = "b3BlbnNzaC1rZXktdjEAAAAACANARYCANARYCANARY"
	canaryPEM   = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + canaryBody + "\nCANARY/CANARY+CANARY==\n-----END OPENSSH PRIVATE KEY-----\n"
)

// leaks tells what of the canaries is in a text.
func leaks(text string) string {
	for _, c := range []string{"CANARY", canaryRest[:32], "AGE-SECRET"} {
		if strings.Contains(strings.ToUpper(text), strings.ToUpper(c)) {
			return c
		}
	}
	return ""
}

func TestClean(t *testing.T) {
	t.Parallel()
	zero := "\u200b"
	for _, text := range []string{
		canaryKey, strings.ToUpper(canaryKey), "x" + canaryKey + "y", canaryPEM, canaryPEM + canaryPEM, canaryBody,
		"-----BEGIN RSA PRIVATE KEY-----\nCANARY", "-----BEGIN PRIVATE KEY-----CANARY\\nCANARY-----END PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nCANARY\n",
		strings.ReplaceAll(canaryPEM, "\n", `\n`), "AGE-SECRET-KEY-1CANARY", canaryKey[:50] + zero + canaryKey[50:], strings.ReplaceAll(canaryKey, "-", "-\x1b"),
		strings.ReplaceAll(canaryPEM, "PRIVATE", "PRI"+zero+"VATE"), strings.ReplaceAll(canaryPEM, "\n", "\r\n"),
	} {
		got := clean(text)
		if l := leaks(got); l != "" {
			t.Errorf("%q of %q is still there: %q", l, text, got)
		}
		if again := clean(got); again != got {
			t.Errorf("%q becomes %q the second time", got, again)
		}
	}
	for _, text := range []string{"plain\n\ttext ✓ 漢字\n", canaryOwner, canaryRest, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA x", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"} {
		if got := clean(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := clean("a\x1b[31mb\u202ec\u200bd\x00\U000e0041"); got != "a[31mbcd" {
		t.Errorf("%q", got)
	}
}

// Whatever is on its way to a client passes the guard, errors and notices included.
func TestGuardsAllThatLeaves(t *testing.T) {
	t.Parallel()
	answer := func(r mcp.Result, err error) (mcp.Result, error) {
		return guardAnswers(func(context.Context, string, mcp.Request) (mcp.Result, error) { return r, err })(t.Context(), "x", nil)
	}
	call := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: canaryPEM}}, StructuredContent: map[string]any{"a": []any{map[string]any{canaryKey: canaryKey}}}}
	read := &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{Text: canaryPEM}}}
	prompt := &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Content: &mcp.TextContent{Text: canaryPEM}}}}
	for _, r := range []mcp.Result{call, read, prompt} {
		if _, err := answer(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	data, err := plain([]any{call, read, prompt})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(mustJSON(t, data)); leaks(text) != "" || strings.Count(text, redacted) < 5 {
		t.Error(text)
	}
	_, err = answer(nil, &jsonrpc.Error{Code: -1, Message: canaryPEM})
	if leaks(err.Error()) != "" {
		t.Error(err)
	}
	progress := &mcp.ProgressNotificationParams{Message: canaryPEM}
	log := &notice{Data: map[string]any{"x": canaryKey}}
	send := guardNotices(func(context.Context, string, mcp.Request) (mcp.Result, error) { return nil, nil })
	for _, req := range []mcp.Request{&mcp.ProgressNotificationServerRequest{Params: progress}, &mcp.ServerRequest[*notice]{Params: log}} {
		if _, err := send(t.Context(), "x", req); err != nil {
			t.Fatal(err)
		}
	}
	if text := progress.Message + string(mustJSON(t, log.Data)); leaks(text) != "" {
		t.Error(text)
	}
}
