package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/vers-fleet/vers-fleet/fleet/safe"
)

const redacted = "[redacted]"

// secrets are the shapes that never reach an agent: private keys in PEM, with or
// without their end, the body of an OpenSSH key alone, age identities, and API keys,
// of which the first 36 characters are the owner's id and stay (docs/platform.md).
var secrets = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?s)()-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\z)`),
		regexp.MustCompile(`()b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/=\s\\]*`),
		regexp.MustCompile(`(?i)()AGE-SECRET-KEY-[0-9A-Z-]+`),
		regexp.MustCompile(`(?i)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})[0-9a-f]{64}`),
	}
})

// clean is a text as an agent may have it: nothing invisible, no secret. What is
// invisible goes first, as it could cut a secret in pieces.
func clean(text string) string {
	text = safe.Visible(text)
	for _, re := range secrets() {
		text = re.ReplaceAllString(text, "${1}"+redacted)
	}
	return text
}

// cleaned is clean for every text in a value of JSON, names of fields included.
func cleaned(v any) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = cleaned(v[i])
		}
	case map[string]any:
		for _, key := range slices.Collect(maps.Keys(v)) {
			value := v[key]
			delete(v, key)
			v[clean(key)] = cleaned(value)
		}
	}
	return v
}

// plain is a value as JSON's own types, with numbers as they were written.
func plain(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return out, dec.Decode(&out)
}

// guardAnswers cleans what is answered to a client, whatever made it.
func guardAnswers(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		if err != nil {
			return result, cleanError(err)
		}
		switch r := result.(type) {
		case *mcp.CallToolResult:
			cleanContents(r.Content)
			if r.StructuredContent != nil {
				v, err := plain(r.StructuredContent)
				if err != nil {
					return nil, err
				}
				r.StructuredContent = cleaned(v)
			}
		case *mcp.ReadResourceResult:
			for _, c := range r.Contents {
				c.Text = clean(c.Text)
			}
		case *mcp.GetPromptResult:
			for _, m := range r.Messages {
				cleanContents([]mcp.Content{m.Content})
			}
		}
		return result, nil
	}
}

func cleanContents(list []mcp.Content) {
	for _, c := range list {
		if t, ok := c.(*mcp.TextContent); ok {
			t.Text = clean(t.Text)
		}
	}
}

func cleanError(err error) error {
	var wire *jsonrpc.Error
	if errors.As(err, &wire) {
		return &jsonrpc.Error{Code: wire.Code, Message: clean(wire.Message)}
	}
	return errors.New(clean(err.Error()))
}

// guardNotices cleans what is told to a client unasked: progress and log.
func guardNotices(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch p := req.GetParams().(type) {
		case *mcp.ProgressNotificationParams:
			p.Message = clean(p.Message)
		case *notice:
			v, err := plain(p.Data)
			if err != nil {
				return nil, err
			}
			p.Data = cleaned(v)
		}
		return next(ctx, method, req)
	}
}
