package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// An orchestrator keeps a list of VMs in one of these places: the registry,
// or what took its place in newer ones (docs/platform.md). The id of an entry
// of the first is that of the VM.
const (
	placeRegistry    = "/registry/vms"
	placeTree        = "/vm-tree/vms"
	placeLieutenants = "/lieutenants"
)

// RegistryVMs lists the entries of the optional registry of VMs at baseURL
// (VERS_INFRA_URL, VERS_AUTH_TOKEN). The token goes there and nowhere else; the
// API key is not sent. Where there is no registry, the lists of a newer
// orchestrator are read instead, as far as there are any. Entries whose id is
// no VM id are left out with a warning, those of VMs that were destroyed
// without one.
func (c *Client) RegistryVMs(ctx context.Context, baseURL, token string) ([]RegistryVM, error) {
	list, err := c.registryAt(ctx, baseURL, token, placeRegistry)
	if !absent(err) {
		return list, err
	}
	found := false
	for _, place := range []string{placeLieutenants, placeTree} {
		more, moreErr := c.registryAt(ctx, baseURL, token, place)
		switch {
		case absent(moreErr):
			continue
		case moreErr != nil:
			return nil, moreErr
		}
		found = true
		for _, vm := range more {
			if !slices.ContainsFunc(list, func(have RegistryVM) bool { return have.ID == vm.ID }) {
				list = append(list, vm)
			}
		}
	}
	if !found {
		return nil, err
	}
	return list, nil
}

// absent reports whether err says that there is nothing at the place asked.
func absent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

func (c *Client) registryAt(ctx context.Context, baseURL, token, place string) ([]RegistryVM, error) {
	const op = "list the registry's VMs"
	base, err := parseBase(op, baseURL)
	if err != nil {
		return nil, err
	}
	req := request{op: op, path: place, base: base, bearer: token}
	if !headerSafe(token) {
		return nil, c.refuse(req, "the registry's token holds characters that no header can carry")
	}
	return call(ctx, c, req, func(n *warnings, body []byte) ([]RegistryVM, error) {
		return readRegistry(n, body, place == placeRegistry)
	})
}

// wireRegistryVM is what is read of an entry as docs/platform.md describes it.
type wireRegistryVM struct {
	ID        text            `json:"id"`
	VMID      text            `json:"vmId"`
	Name      text            `json:"name"`
	Role      text            `json:"role"`
	Category  text            `json:"category"`
	Status    text            `json:"status"`
	Heartbeat json.RawMessage `json:"lastHeartbeat"`
	Activity  text            `json:"lastActivityAt"`
}

// id is the VM's.
func (e wireRegistryVM) id(registry bool) text {
	if registry {
		return e.ID
	}
	return e.VMID
}

// seen is when the entry's status was true, zero if it does not tell.
func (e wireRegistryVM) seen() time.Time {
	var ms int64
	if json.Unmarshal(e.Heartbeat, &ms) == nil && ms > 0 {
		return time.UnixMilli(ms).UTC()
	}
	at, _ := e.Activity.time()
	return at.UTC()
}

// readRegistry accepts a bare array, or an object with one.
func readRegistry(n *warnings, body []byte, registry bool) ([]RegistryVM, error) {
	var w struct {
		VMs         *list `json:"vms"`
		Lieutenants *list `json:"lieutenants"`
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
	entries, kind := cmp.Or(w.VMs, w.Lieutenants), ""
	if entries == nil {
		return nil, notVers("no list of VMs in it")
	}
	if w.VMs == nil {
		kind = "lieutenant"
	}
	out, seen := make([]RegistryVM, 0, len(*entries)), map[string]bool{}
	for i, raw := range *entries {
		var e wireRegistryVM
		err := decodeObject(raw, &e)
		id := e.id(registry).id()
		if err != nil || id == "" || seen[id] {
			n.add("left out registry entry %d, whose id %s is not a VM's or not new", i+1, shown(e.id(registry)))
			continue
		}
		if seen[id] = true; e.Status == "destroyed" || e.Status == "rewound" {
			continue
		}
		out = append(out, RegistryVM{ID: id, Name: e.Name.line(), Role: cmp.Or(e.Role, e.Category, text(kind)).line(), Status: e.Status.line(), Seen: e.seen()})
	}
	return out, nil
}
