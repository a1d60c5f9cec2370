package api

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// wireVM is schema VM, and what is read of VmMetadataResponse on top.
type wireVM struct {
	ID        text            `json:"vm_id"`
	OwnerID   text            `json:"owner_id"`
	CreatedAt text            `json:"created_at"`
	State     text            `json:"state"`
	Labels    json.RawMessage `json:"labels"`
	IP        text            `json:"ip"`
}

func readVMs(n *warnings, body []byte) ([]VM, error) {
	entries, err := decodeList(body)
	if err != nil {
		return nil, err
	}
	vms, seen := make([]VM, 0, len(entries)), map[string]bool{}
	for i, raw := range entries {
		var w wireVM
		if decodeObject(raw, &w) != nil {
			n.add("left out entry %d, which is no VM", i+1)
			continue
		}
		id := w.ID.id()
		switch {
		case id == "":
			n.add("left out entry %d, whose id %s is not valid", i+1, shown(w.ID))
		case seen[id]:
			n.add("VM %s is listed twice", id)
		default:
			seen[id] = true
			vms = append(vms, w.vm(n, id))
		}
	}
	if len(entries) > 0 && len(vms) == 0 {
		return nil, notVers("a list without a single VM that has a valid id")
	}
	return vms, nil
}

// readOne reads an object and insists that it is about the VM asked for.
func readOne(body []byte, want string) (wireVM, error) {
	var w wireVM
	if err := decodeObject(body, &w); err != nil {
		return w, err
	}
	switch got := w.ID.id(); got {
	case want:
		return w, nil
	case "":
		return w, notVers("no valid VM id in the answer")
	default:
		return w, mismatch("it is about VM " + got)
	}
}

func readVM(n *warnings, body []byte, want string) (VM, error) {
	w, err := readOne(body, want)
	if err != nil {
		return VM{}, err
	}
	return w.vm(n, want), nil
}

func readMetadata(n *warnings, body []byte, want string) (Metadata, error) {
	w, err := readOne(body, want)
	if err != nil || w.IP == "" {
		return Metadata{}, err
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(string(w.IP)))
	if err != nil || ip.Zone() != "" {
		n.add("VM %s: ip %s is not an address", want, shown(w.IP))
		return Metadata{}, nil
	}
	return Metadata{IP: ip}, nil
}

func (w wireVM) vm(n *warnings, id string) VM {
	return VM{ID: id, OwnerID: w.owner(n, id), CreatedAt: created(n, w.CreatedAt, id), State: w.state(n, id), Labels: labels(n, w.Labels, id)}
}

func (w wireVM) owner(n *warnings, id string) string {
	owner := w.OwnerID.id()
	if owner == "" && w.OwnerID != "" {
		n.add("VM %s: owner %s is not a valid id", id, shown(w.OwnerID))
	}
	return owner
}

// state accepts states this program does not know; they are shown as they are.
func (w wireVM) state(n *warnings, id string) State {
	s := strings.ToLower(clean(string(w.State), 64))
	if s == "" {
		n.add("VM %s: no readable state", id)
		return StateUnknown
	}
	return State(s)
}

func created(n *warnings, t text, id string) time.Time {
	at, ok := t.time()
	if !ok {
		n.add("%s: created_at %s is not a time", id, shown(t))
	}
	return at
}

// labels reads a map of strings. What is not a string is left out; what no
// terminal should get is taken out.
func labels(n *warnings, raw json.RawMessage, id string) map[string]string {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var wire map[string]json.RawMessage
	if json.Unmarshal(raw, &wire) != nil {
		n.add("VM %s: labels are not an object", id)
		return nil
	}
	out := make(map[string]string, len(wire))
	for _, name := range slices.Sorted(maps.Keys(wire)) {
		var s *string
		if json.Unmarshal(wire[name], &s) != nil || s == nil {
			n.add("VM %s: label %s is not text", id, shown(text(name)))
			continue
		}
		key, v := clean(name, 256), clean(*s, maxText)
		if key == "" {
			n.add("VM %s: a label has no name", id)
			continue
		}
		if _, taken := out[key]; taken {
			n.add("VM %s: label %s is there twice", id, shown(text(key)))
			continue
		}
		if key != name || v != *s {
			n.add("VM %s: label %s holds characters that are not shown", id, shown(text(name)))
		}
		out[key] = v
	}
	return out
}
