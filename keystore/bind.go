package keystore

import (
	"context"
	"encoding/json"
)

// binding is endpoint.json: whose keys the profile holds.
type binding struct {
	APIURL  string `json:"api_url"`
	OwnerID string `json:"owner_id,omitempty"`
}

// BindEndpoint remembers which endpoint and account the profile belongs to.
// When it already holds keys of another one it returns KindMismatch, so that
// two accounts never mix; without keys it is bound anew. An empty ownerID
// means that the account is not known. When nothing changes it only reads.
func (s *Store) BindEndpoint(apiURL, ownerID string) error {
	d := s.doc("endpoint")
	data, err := d.Read()
	if err != nil && !IsNotFound(err) {
		return err
	}
	if _, changed := bindTo(data, apiURL, ownerID); err == nil && !changed {
		return nil
	}
	return d.Update(context.Background(), func(old []byte) ([]byte, error) {
		next, changed := bindTo(old, apiURL, ownerID)
		if !changed {
			return nil, nil
		}
		if before, ok := parseBinding(old); ok && before.conflicts(apiURL, ownerID) {
			ids, err := s.IDs()
			if err != nil {
				return nil, err
			}
			if len(ids) > 0 {
				return nil, s.bound(before, apiURL)
			}
		}
		return json.Marshal(next)
	})
}

// Endpoint is the API URL that the profile belongs to, "" while it belongs to
// none.
func (s *Store) Endpoint() string {
	data, _ := s.doc("endpoint").Read() // what cannot be read binds to nothing
	b, _ := parseBinding(data)
	return b.APIURL
}

func parseBinding(data []byte) (b binding, ok bool) {
	return b, data != nil && json.Unmarshal(data, &b) == nil && b.APIURL != ""
}

func (b binding) conflicts(apiURL, ownerID string) bool {
	return b.APIURL != apiURL || b.OwnerID != "" && ownerID != "" && b.OwnerID != ownerID
}

// bindTo returns the binding that old becomes.
func bindTo(old []byte, apiURL, ownerID string) (next binding, changed bool) {
	before, ok := parseBinding(old)
	next = binding{APIURL: apiURL, OwnerID: ownerID}
	if ok && !before.conflicts(apiURL, ownerID) && ownerID == "" {
		next.OwnerID = before.OwnerID
	}
	return next, !ok || next != before
}

func (s *Store) bound(b binding, apiURL string) error {
	why := "the profile holds keys of " + b.APIURL
	if b.APIURL == apiURL {
		why += ", account " + b.OwnerID
	}
	return &Error{
		Kind: KindMismatch, Op: "use profile", Path: s.dir,
		Why: why + "; use a profile of its own for " + apiURL + " (--profile NAME)",
	}
}
