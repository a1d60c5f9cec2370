package keystore

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The names other Vers clients use for keys below a temporary folder.
const (
	adoptFolder      = "vers-ssh-keys"
	cliSuffix        = ".key" // <vm id>.key, Vers CLI
	extensionPrefix  = "vers-"
	extensionSuffix  = ".pem" // vers-<first 12 characters of the id>.pem, agent extension; 16 in newer orchestrators
	extensionIDChars = 12     // at least
	recursivePrefix  = "rlm-" // vers-rlm-<first 12>.pem, its agents within agents
)

// AdoptOptions says where to look.
type AdoptOptions struct {
	TempDirs []string // e.g. $TMPDIR and /tmp
	KnownIDs []string // full ids that a 12-character prefix is matched with
}

// AdoptableKey is a key file that another client left on this machine.
type AdoptableKey struct {
	Path      string `json:"path"`
	VMID      string `json:"vm_id,omitempty"` // "" if the name does not tell
	PublicKey string `json:"public_key,omitempty"`
	Refused   string `json:"refused,omitempty"` // why it is not adopted; "" if it can be
	Recorded  bool   `json:"saved"`             // the keystore has this very key already
	pem       privateKey
}

// Adoptable looks for keys of other clients and judges them; nothing is recorded.
// A file that another user could have planted is refused with the reason.
func (s *Store) Adoptable(o AdoptOptions) []AdoptableKey {
	var all []AdoptableKey
	seen := map[string]bool{}
	for _, tmp := range o.TempDirs {
		abs, err := filepath.Abs(tmp)
		if err != nil || seen[abs] {
			continue
		}
		seen[abs] = true
		all = append(all, s.adoptableIn(abs, o.KnownIDs)...)
	}
	return all
}

func (s *Store) adoptableIn(tmp string, known []string) []AdoptableKey {
	dir := filepath.Join(tmp, adoptFolder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	unsafe := plantable(tmp, dir)
	var found []AdoptableKey
	for _, e := range entries {
		k := AdoptableKey{Path: filepath.Join(dir, e.Name())}
		id, why, ok := idInName(e.Name(), known)
		if !ok {
			continue
		}
		k.VMID, k.Refused = id, why
		if unsafe != "" {
			k.Refused = unsafe
		}
		if k.Refused == "" {
			s.examine(&k)
		}
		found = append(found, k)
	}
	return found
}

// idInName reads the VM's id off a file name. ok is false for other files.
func idInName(name string, known []string) (id, why string, ok bool) {
	if id, cut := strings.CutSuffix(name, cliSuffix); cut {
		if id = strings.ToLower(id); validID(id) {
			return id, "", true
		}
		return "", "", false
	}
	prefix, cut := strings.CutSuffix(name, extensionSuffix)
	prefix, cut2 := strings.CutPrefix(prefix, extensionPrefix)
	prefix = strings.TrimPrefix(prefix, recursivePrefix)
	if !cut || !cut2 || len(prefix) < extensionIDChars {
		return "", "", false
	}
	for _, k := range known {
		if !validID(k) || !strings.HasPrefix(k, strings.ToLower(prefix)) || k == id {
			continue
		}
		if id != "" {
			return "", "its name fits several VMs", true
		}
		id = k
	}
	if id == "" {
		return "", "its name fits no VM that is known", true
	}
	return id, "", true
}

// plantable says why another user could have put files into dir, "" if none
// could. With the sticky bit (as on /tmp) only a file's owner can replace it.
func plantable(tmp, dir string) string {
	if !runtimeChecksModes {
		return ""
	}
	outer, err := os.Stat(tmp)
	if err != nil {
		return "the folder cannot be examined"
	}
	if owner, ok := ownerOf(outer); ok && owner != 0 && owner != os.Geteuid() {
		return "the temporary folder belongs to another user"
	}
	if outer.Mode().Perm()&0o022 != 0 && outer.Mode()&fs.ModeSticky == 0 {
		return "other users can replace what is in the temporary folder"
	}
	inner, err := os.Lstat(dir)
	if err != nil || !inner.IsDir() {
		return "the folder is a symbolic link"
	}
	if owner, ok := ownerOf(inner); ok && owner != os.Geteuid() {
		return "the folder belongs to another user"
	}
	if inner.Mode().Perm()&0o022 != 0 {
		return "other users can put files into the folder"
	}
	return ""
}

// examine reads one file and checks it as a key.
func (s *Store) examine(k *AdoptableKey) {
	f, err := openNoFollow(k.Path)
	if err != nil {
		k.Refused = "it is a symbolic link or cannot be opened"
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		k.Refused = "it cannot be examined"
		return
	}
	owner, known := ownerOf(info)
	switch {
	case !info.Mode().IsRegular():
		k.Refused = "it is not a regular file"
	case known && owner != os.Geteuid():
		k.Refused = "it belongs to another user"
	case runtimeChecksModes && info.Mode().Perm()&0o022 != 0:
		k.Refused = "other users can write to it"
	case hardLinks(info) > 1:
		k.Refused = "it has a second name somewhere else"
	case info.Size() > maxKey/2:
		k.Refused = "it is too large for a key"
	}
	if k.Refused != "" {
		return
	}
	pem := make([]byte, info.Size())
	if n, err := f.ReadAt(pem, 0); n != len(pem) {
		k.Refused = "it cannot be read: " + cause(err).Error()
		return
	}
	public, err := s.o.ParseKey(pem)
	if err != nil {
		k.Refused = "it is not a usable private key"
		return
	}
	k.PublicKey, k.pem = public, pem
	s.compare(k)
}

// compare refuses a key where the store already has another one.
func (s *Store) compare(k *AdoptableKey) {
	if !s.HasKey(k.VMID) {
		return
	}
	rec, err := s.Record(k.VMID)
	if err != nil || rec.PublicKey == "" {
		return
	}
	if rec.PublicKey == k.PublicKey {
		k.Recorded = true
		return
	}
	k.Refused = "the keystore has another key of this VM"
}

// Adopt records found keys that are neither refused nor recorded already,
// unproven and with the file they came from, and returns their VM ids. The
// files stay where they are. Of two different keys for a VM the first counts.
func (s *Store) Adopt(found []AdoptableKey) ([]string, error) {
	var adopted []string
	for _, k := range found {
		if k.Refused != "" || k.Recorded || k.pem == nil || s.HasKey(k.VMID) {
			continue
		}
		if _, err := s.PutKey(k.VMID, k.pem, KeyInfo{Source: "found:" + k.Path}); err != nil {
			return adopted, err
		}
		adopted = append(adopted, k.VMID)
	}
	return adopted, nil
}
