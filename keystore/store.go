package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configures a Store. ParseKey is required.
type Options struct {
	// ParseKey checks a PEM private key and returns its public half as an
	// authorized_keys line without comment.
	ParseKey func(pem []byte) (publicKey string, err error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Passphrase asks a person; nil means that nobody can be asked.
	Passphrase func(prompt string) ([]byte, error)
	// IdentityFile is an age identity file or an SSH private key that unlocks
	// an encrypted store; "" means none.
	IdentityFile string
	// DecryptSSHKey takes the passphrase off an SSH private key, for an
	// IdentityFile that has one. Nil means that such keys are refused.
	DecryptSSHKey func(pem, passphrase []byte) ([]byte, error)
	// Keyring tries the operating system's keyring for the store's identity.
	Keyring bool
	// ScryptWork is the base-2 logarithm of what deriving a key from a passphrase
	// costs; 0 means age's own, about a second. Only tests set it.
	ScryptWork int
	// Warn is told about things that went wrong but stop nothing; may be nil.
	Warn func(string)
}

// Store is the state of one profile on disk. Its methods may be called by
// several goroutines, and by several processes with a Store each.
type Store struct {
	dir    string
	o      Options
	locks  lockTable
	unlock sync.Mutex // guards ids
	ids    *identities
	clock  func() time.Time

	leftovers sync.Once // the warning of warnLeftover
}

// Open opens the store in dir (<home>/<profile>). Nothing is created until the
// first write, so a missing dir is an empty store. It refuses a store that
// others can get into (KindTooOpen, KindForeignOwner, KindSymlink) and removes
// what killed writers left behind. Its cost does not depend on the number of
// VMs.
func Open(dir string, o Options) (*Store, error) {
	if o.ParseKey == nil {
		return nil, invalid("open keystore", "Options.ParseKey is not set")
	}
	if dir == "" {
		return nil, invalid("open keystore", "no folder given")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, ioError("open keystore", dir, err)
	}
	s := &Store{dir: abs, o: o, clock: o.Now}
	if s.clock == nil {
		s.clock = time.Now
	}
	if err := s.checkFolders(); err != nil {
		return nil, err
	}
	s.recoverAll()
	return s, nil
}

// checkFolders refuses unsafe folders; missing ones are fine.
func (s *Store) checkFolders() error {
	if err := checkParent(filepath.Dir(s.dir)); err != nil {
		return err
	}
	for _, dir := range []string{s.dir, s.path("keys")} {
		if err := checkFolder(dir); err != nil && !IsNotFound(err) {
			return err
		}
	}
	return nil
}

// Dir returns the folder of the profile.
func (s *Store) Dir() string { return s.dir }

// KeyPath returns where the private key of a VM is, usable as `ssh -i` unless
// the store is encrypted. It returns "" for a malformed id.
func (s *Store) KeyPath(id string) string {
	if !validID(id) {
		return ""
	}
	return s.path(vmDir(id), fileKey)
}

// KnownHostsPath returns the path of the derived known_hosts file.
func (s *Store) KnownHostsPath() string { return s.path(fileKnownHosts) }

func (s *Store) path(rel ...string) string {
	return filepath.Join(append([]string{s.dir}, rel...)...)
}

func vmDir(id string) string { return filepath.Join("keys", id) }

// now returns the time that is written to disk: UTC, whole seconds.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Second) }

func (s *Store) warn(text string) {
	if s.o.Warn != nil {
		s.o.Warn(text)
	}
}

// lockTimeout is how long a write waits for other processes. A write takes
// milliseconds; only a stopped process holds a lock this long.
const lockTimeout = time.Minute

// The files of a store and of a VM's folder.
const (
	fileKey        = "id"
	filePrev       = "id.prev"
	ageSuffix      = ".age"
	fileRecord     = "record.json"
	fileKnownHosts = "known_hosts"
	fileConfig     = "store.json"
	fileIdentity   = "identity.age"
)

// keyNames are the files of a VM's folder that may hold a key.
func keyNames() []string {
	return []string{fileKey, fileKey + ageSuffix, filePrev, filePrev + ageSuffix}
}

// Limits on what is read, so that a planted giant does not eat the memory.
const (
	maxKey    = 128 << 10
	maxRecord = 1 << 20
	maxDoc    = 64 << 20
)

// validID tells whether id is a canonical lower-case UUID, the only form that
// ever becomes part of a path.
func validID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

func checkID(op, id string) error {
	if !validID(id) {
		return invalid(op, "%.40q is not a VM id", id)
	}
	return nil
}

// validName tells whether name may name a document, folder or lock: 1 to 64
// of a-z, 0-9, '-', '_' and '.', not starting with a dot.
func validName(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '.' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// IDs lists the VMs with a folder in the store, sorted, without reading it.
func (s *Store) IDs() ([]string, error) {
	d, err := os.Open(s.path("keys"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, ioError("list keys", s.path("keys"), err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, ioError("list keys", s.path("keys"), err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !validID(n) })
	slices.Sort(names)
	return names, nil
}

// Records reads all records, sorted by id. One that cannot be used is a
// Finding and hides none of the others.
func (s *Store) Records() ([]Record, []Finding, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, nil, err
	}
	recs, errs := make([]Record, len(ids)), make([]error, len(ids))
	inParallel(len(ids), func(i int) { recs[i], errs[i] = s.Record(ids[i]) })
	out := make([]Record, 0, len(ids))
	var findings []Finding
	for i, err := range errs {
		switch {
		case err == nil:
			out = append(out, recs[i])
		case !IsNotFound(err): // an empty folder: somebody is just writing it
			findings = append(findings, findingOf(ids[i], err))
		}
	}
	return out, findings, nil
}

// inParallel calls fn for 0..n-1 on a few goroutines and waits for all.
func inParallel(n int, fn func(int)) {
	const workers = 8
	var wg sync.WaitGroup
	for w := range min(workers, n) {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				fn(i)
			}
		})
	}
	wg.Wait()
}
