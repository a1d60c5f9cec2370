package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
)

// wireCommit is what is read of schema VmCommitEntity, and of CommitInfo, which
// names the id otherwise.
type wireCommit struct {
	ID          text `json:"id"`
	CommitID    text `json:"commit_id"`
	Name        text `json:"name"`
	Description text `json:"description"`
	CreatedAt   text `json:"created_at"`
	ParentVMID  text `json:"parent_vm_id"`
	Grandparent text `json:"grandparent_commit_id"`
}

func (w wireCommit) commit(n *warnings) (Commit, bool) {
	wire := cmp.Or(w.ID, w.CommitID)
	id := wire.id()
	if id == "" {
		n.add("left out a commit whose id %s is not valid", shown(wire))
		return Commit{}, false
	}
	return Commit{ID: id, ParentVMID: w.ParentVMID.id(), ParentCommitID: w.Grandparent.id(), Name: w.Name.line(), Description: w.Description.line(),
		CreatedAt: created(n, w.CreatedAt, id)}, true
}

// readCommitPage reads a page of the listing, and how many there are in all.
func readCommitPage(n *warnings, body []byte) (commitPage, error) {
	var w struct { // schema ListCommitsResponse
		Commits *list           `json:"commits"`
		Total   json.RawMessage `json:"total"`
	}
	if err := decodeObject(body, &w); err != nil {
		return commitPage{}, err
	}
	if w.Commits == nil {
		return commitPage{}, notVers("no list of commits in it")
	}
	total, _ := strconv.Atoi(string(w.Total)) // without it pages are asked for until one is not full
	page := commitPage{commits: readCommits(n, *w.Commits), entries: len(*w.Commits), total: total}
	if page.entries > 0 && len(page.commits) == 0 {
		return page, notVers("a list without a single commit that has a valid id")
	}
	return page, nil
}

func readCommits(n *warnings, entries list) []Commit {
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
func readParents(n *warnings, body []byte, want string) ([]Commit, error) {
	entries, err := decodeList(body)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, notVers("an empty list, where an unknown commit gets status 404")
	}
	first := readCommits(n, entries[:1])
	switch {
	case len(first) == 0:
		return nil, notVers("the first entry is no commit")
	case first[0].ID != want:
		return nil, mismatch("it is about commit " + first[0].ID)
	}
	return append(first, readCommits(n, entries[1:])...), nil
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
		return "", notVers("no valid commit id in it")
	case want != "" && got != want:
		return got, mismatch("it confirms commit " + got)
	}
	return got, nil
}

func readBranch(n *warnings, body []byte, want int) ([]string, error) {
	var w struct { // schema NewVmsResponse; live also with an error
		VMs   *list `json:"vms"`
		Error text  `json:"error"`
	}
	if err := decodeObject(body, &w); err != nil {
		return nil, err
	}
	if w.VMs == nil {
		return nil, notVers("no list of VMs in it")
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
		return nil, notVers("no VM with a valid id in it")
	}
	if len(ids) != want {
		n.add("asked for %d VMs, the API names %d", want, len(ids))
	}
	return ids, nil
}

// readNothing accepts the empty body that the platform sends, or any JSON.
func readNothing(_ *warnings, body []byte) (struct{}, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return struct{}{}, nil
	}
	var value json.RawMessage
	return struct{}{}, decode(body, &value)
}
