package api

import (
	"bytes"
	"encoding/json"
)

// wireCommit is schema VmCommitEntity, which calls the id "id", and CommitInfo,
// which calls it "commit_id".
type wireCommit struct {
	ID          text `json:"id"`
	CommitID    text `json:"commit_id"`
	OwnerID     text `json:"owner_id"`
	Name        text `json:"name"`
	Description text `json:"description"`
	Public      flag `json:"is_public"`
	CreatedAt   text `json:"created_at"`
	ParentVMID  text `json:"parent_vm_id"`
}

func (w wireCommit) commit(n *notes) (Commit, bool) {
	id := w.ID.id()
	if id == "" {
		id = w.CommitID.id()
	}
	if id == "" {
		n.add("left out a commit whose id %s is not valid", shown(w.ID+w.CommitID))
		return Commit{}, false
	}
	return Commit{
		ID: id, OwnerID: w.OwnerID.id(), Name: w.Name.line(), Description: w.Description.line(),
		Public: bool(w.Public), CreatedAt: created(n, w.CreatedAt, id), ParentVMID: w.ParentVMID.id(),
	}, true
}

func readCommits(n *notes, entries list) []Commit {
	commits := make([]Commit, 0, len(entries))
	for _, raw := range entries {
		var w wireCommit
		if decodeObject(raw, &w) != nil {
			n.add("left out an entry that is no commit")
			continue
		}
		if c, ok := w.commit(n); ok {
			commits = append(commits, c)
		}
	}
	return commits
}

// readParents insists that the first element is the commit asked for: callers
// take this answer as proof that the commit exists.
func readParents(n *notes, body []byte, want string) ([]Commit, error) {
	entries, err := decodeList(body)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, unlike("an empty list, where an unknown commit gets status 404")
	}
	first := readCommits(n, entries[:1])
	switch {
	case len(first) == 0:
		return nil, unlike("the first entry is no commit")
	case first[0].ID != want:
		return nil, mismatch("it is about commit " + first[0].ID)
	}
	return append(first, readCommits(n, entries[1:])...), nil
}

func readCommitPage(n *notes, body []byte) (CommitPage, error) {
	var w struct { // schema ListCommitsResponse
		Commits *list           `json:"commits"`
		Total   json.RawMessage `json:"total"`
		Limit   json.RawMessage `json:"limit"`
		Offset  json.RawMessage `json:"offset"`
	}
	if err := decodeObject(body, &w); err != nil {
		return CommitPage{}, err
	}
	if w.Commits == nil {
		return CommitPage{}, unlike("no list of commits in it")
	}
	return CommitPage{
		Commits: readCommits(n, *w.Commits),
		Total:   count(n, "total", w.Total), Limit: count(n, "limit", w.Limit), Offset: count(n, "offset", w.Offset),
	}, nil
}

func count(n *notes, name string, raw json.RawMessage) int64 {
	var v int64
	if json.Unmarshal(raw, &v) != nil || v < 0 {
		n.add("%s is not a number", name)
		return 0
	}
	return v
}

// readCommitID checks the confirmed id against the one asked for, if any.
func readCommitID(body []byte, want string) (string, error) {
	var w struct { // schema VmCommitResponse
		CommitID text `json:"commit_id"`
	}
	if err := decodeObject(body, &w); err != nil {
		return "", err
	}
	got := w.CommitID.id()
	switch {
	case got == "":
		return "", unlike("no valid commit id in it")
	case want != "" && got != want:
		return got, mismatch("it confirms commit " + got)
	}
	return got, nil
}

func readBranch(n *notes, body []byte, want int) ([]string, error) {
	var w struct { // schema NewVmsResponse; live also with an error
		VMs   *list `json:"vms"`
		Error text  `json:"error"`
	}
	if err := decodeObject(body, &w); err != nil {
		return nil, err
	}
	if w.VMs == nil {
		return nil, unlike("no list of VMs in it")
	}
	if w.Error != "" {
		n.add("the API remarks: %s", shown(w.Error))
	}
	ids := make([]string, 0, len(*w.VMs))
	for _, raw := range *w.VMs {
		var vm struct {
			ID text `json:"vm_id"`
		}
		if decodeObject(raw, &vm) != nil || vm.ID.id() == "" {
			n.add("left out a VM whose id %s is not valid", shown(vm.ID))
			continue
		}
		ids = append(ids, vm.ID.id())
	}
	if len(ids) == 0 {
		return nil, unlike("no VM with a valid id in it")
	}
	if len(ids) != want {
		n.add("asked for %d VMs, the API names %d", want, len(ids))
	}
	return ids, nil
}

// readNothing accepts the empty body that the platform sends, or any JSON.
func readNothing(_ *notes, body []byte) (struct{}, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return struct{}{}, nil
	}
	var any json.RawMessage
	return struct{}{}, decode(body, &any)
}

// readAnything accepts every body that judge let through.
func readAnything(*notes, []byte) (struct{}, error) { return struct{}{}, nil }
