package api

import (
	"bytes"
	"context"
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

// wireRegistryVM is what is read of an entry as docs/platform.md describes it.
type wireRegistryVM struct {
	ID   text `json:"id"`
	Name text `json:"name"`
	Role text `json:"role"`
}

// readRegistry accepts {"vms":[...]} and a bare array.
func readRegistry(n *warnings, body []byte) ([]RegistryVM, error) {
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
		return nil, notVers("no list of VMs in it")
	}
	out, seen := make([]RegistryVM, 0, len(*w.VMs)), map[string]bool{}
	for i, raw := range *w.VMs {
		var e wireRegistryVM
		if decodeObject(raw, &e) != nil || e.ID.id() == "" || seen[e.ID.id()] {
			n.add("left out registry entry %d, whose id %s is not a VM's or not new", i+1, shown(e.ID))
			continue
		}
		seen[e.ID.id()] = true
		out = append(out, RegistryVM{ID: e.ID.id(), Name: e.Name.line(), Role: e.Role.line()})
	}
	return out, nil
}
