package keystore

import (
	"path/filepath"
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

	untidied sync.Once // the warning of untidy

	scryptWork int // log2 of the work factor; 0: age's default
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
	s.settleAll()
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
