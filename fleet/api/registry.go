package api

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

// RegistryVMs lists the entries of the optional VM registry (VERS_INFRA_URL,
// VERS_AUTH_TOKEN) at baseURL. The token goes there and nowhere else; the API
// key is not sent. Entries whose id is no VM id are left out with a warning.
func (c *Client) RegistryVMs(ctx context.Context, baseURL, token string) ([]RegistryVM, error) {
	const op = "list the registry's VMs"
	base, err := parseBase(op, baseURL)
	if err != nil {
		return nil, err
	}
	req := request{op: op, path: "/registry/vms", base: base, bearer: token}
	if !headerSafe(token) {
		return nil, c.refuse(req, "the registry's token holds characters that no header can carry")
	}
	return call(ctx, c, req, readRegistry)
}

// wireRegistryVM is one entry as platform.md describes it.
type wireRegistryVM struct {
	ID           text            `json:"id"`
	Name         text            `json:"name"`
	Role         text            `json:"role"`
	Status       text            `json:"status"`
	Address      text            `json:"address"`
	RegisteredBy text            `json:"registeredBy"`
	Metadata     json.RawMessage `json:"metadata"`
	LastSeen     json.RawMessage `json:"lastSeen"`
}

// readRegistry accepts {"vms":[...]} and a bare array.
func readRegistry(n *notes, body []byte) ([]RegistryVM, error) {
	var w struct {
		VMs *list `json:"vms"`
	}
	if b := bytes.TrimSpace(body); len(b) > 0 && b[0] == '[' {
		entries, err := decodeList(body)
		if err != nil {
			return nil, err
		}
		w.VMs = &entries
	} else if err := decodeObject(body, &w); err != nil {
		return nil, err
	}
	if w.VMs == nil {
		return nil, unlike("no list of VMs in it")
	}
	out, seen := make([]RegistryVM, 0, len(*w.VMs)), map[string]bool{}
	for i, raw := range *w.VMs {
		var e wireRegistryVM
		if decodeObject(raw, &e) != nil || e.ID.id() == "" || seen[e.ID.id()] {
			n.add("left out registry entry %d, whose id %s is not a VM's or not new", i+1, shown(e.ID))
			continue
		}
		seen[e.ID.id()] = true
		out = append(out, e.vm())
	}
	return out, nil
}

func (e wireRegistryVM) vm() RegistryVM {
	return RegistryVM{
		ID: e.ID.id(), Name: e.Name.line(), Role: e.Role.line(), Status: e.Status.line(), Address: e.Address.line(),
		RegisteredBy: e.RegisteredBy.line(), Metadata: textsOf(e.Metadata), LastSeen: lastSeen(e.LastSeen),
	}
}

// textsOf keeps the texts of a free-form object.
func textsOf(raw json.RawMessage) map[string]string {
	var wire map[string]text
	if json.Unmarshal(raw, &wire) != nil || len(wire) == 0 {
		return nil
	}
	out := make(map[string]string, len(wire))
	for k, v := range wire {
		if v != "" {
			out[clean(k, 256)] = v.line()
		}
	}
	return out
}

// lastSeen reads a time or milliseconds since 1970.
func lastSeen(raw json.RawMessage) time.Time {
	var ms int64
	if json.Unmarshal(raw, &ms) == nil && ms > 0 {
		return time.UnixMilli(ms)
	}
	var t text
	_ = json.Unmarshal(raw, &t) // text takes anything
	at, _ := t.time()
	return at
}
