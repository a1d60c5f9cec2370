package settings

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
	"github.com/vers-fleet/vers-fleet/fleet/safe"
	"github.com/vers-fleet/vers-fleet/keystore"
)

// Settings are those of one profile. Secrets are not among the fields; APIKey
// and RegistryToken fetch them when they are needed.
type Settings struct {
	Profile   string
	APIURL    string
	VMDomain  string
	VMGateway string // host:port or ""
	TLSCA     string // file or ""
	TLSVerify bool
	PullPaths []string

	MirrorFolder string // "" = none
	MirrorPaths  []string
	MirrorKeep   int // 0 = all

	SilentAfter time.Duration // 0 = never

	RetryMaxElapsed, RetryBase, RetryCap time.Duration
	QueueExpires                         time.Duration

	StrictSSH bool

	ConnectTimeout time.Duration // bounds each connection to a VM until it is made
	Share          time.Duration // how long an unused connection is kept; 0 = none is shared
	KeysIdentity   string        // file or ""
	KeysKeyring    bool
	RegistryURL    string // "" when not configured

	home   string
	layers *layers
	source Source
	wrong  error
}

// Source is what Load looks at besides the process's variables and the file.
type Source struct {
	Flags   *pflag.FlagSet // with --profile, --config and --api-url; nil is none
	Warn    func(string)   // something the user should know; nil is nobody
	Stderr  io.Writer      // of api_key_command; nil is nowhere
	NewFile bool           // the file may be missing although it was named
}

// Load reads the settings. It fails, with kind usage, when the file cannot be
// read or there is no such profile. Values that are wrong are told by Check.
func Load(src Source) (*Settings, error) {
	if src.Warn == nil {
		src.Warn = func(string) {}
	}
	l, err := newLayers(src.Flags, src.NewFile, src.Warn)
	if err != nil {
		return nil, err
	}
	s := &Settings{layers: l, source: src}
	for _, k := range s.keys() {
		if k.into == nil {
			continue
		}
		value, from := l.get(k.Name)
		if err := k.parse(value, from.folder); err != nil && s.wrong == nil {
			s.wrong = usage(fmt.Sprintf("%s is wrong: %v", k.Name, err),
				"the value comes from "+from.text, "correct it there; see: vers-fleet help environment")
		}
	}
	s.warnOpenFile()
	return s, nil
}

// Check is the first value that is wrong, by name and origin, as an error of
// kind usage. The fields may be used when it is nil.
func (s *Settings) Check() error { return s.wrong }

// warnOpenFile tells when others may read a secret in the configuration file.
func (s *Settings) warnOpenFile() {
	if runtime.GOOS == "windows" { // its permission bits say nothing
		return
	}
	path := s.layers.file.path
	for _, k := range Keys() {
		if !k.Secret {
			continue
		}
		_, from := s.layers.get(k.Name)
		info, err := os.Stat(path)
		if from.inFile() && err == nil && info.Mode().Perm()&0o077 != 0 {
			s.source.Warn(fmt.Sprintf("others can read %s, which holds %s; run: chmod 600 %s", path, k.Name, safe.Word(path)))
		}
	}
}

func (o origin) inFile() bool { return o.layer == layerFile || o.layer == layerProfile }

// Home is the folder of all local state, absolute. It fails, with kind usage,
// only when neither `home` nor a home directory is known.
func (s *Settings) Home() (string, error) {
	if s.home == "" && dataFolder() == "" {
		return "", usage("no place for keys and records", "neither HOME nor XDG_DATA_HOME is set to an absolute path",
			"set HOME, or name a folder with VERS_FLEET_HOME=/some/folder")
	}
	if s.home == "" {
		return dataFolder(), nil
	}
	return s.home, nil
}

// Roots returns what reads the certificate authorities of tls_ca, once; nil if
// none are set. Errors are of kind usage; a missing file is told at once.
func (s *Settings) Roots() (func() (*x509.CertPool, error), error) {
	if s.TLSCA == "" {
		return nil, nil
	}
	wrong := func(what, why string) error {
		return usage(what, why, "correct tls_ca; see: vers-fleet config view")
	}
	if _, err := os.Stat(s.TLSCA); err != nil {
		return nil, wrong("cannot read the CA file "+s.TLSCA, problem.Cause(err))
	}
	return sync.OnceValues(func() (*x509.CertPool, error) {
		pem, err := keystore.ReadFile(s.TLSCA, maxFileSize)
		if err != nil {
			return nil, wrong("cannot read the CA file "+s.TLSCA, problem.Cause(err))
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, wrong("the CA file "+s.TLSCA+" holds no certificate", "it must be in PEM form")
		}
		return pool, nil
	}), nil
}

// Profiles are the profiles that the configuration file defines.
func (s *Settings) Profiles() []string { return s.layers.file.profiles() }

// Environment is the NAME=VALUE words with which a program that has an empty
// environment otherwise reaches the VMs as this one does: where home and
// configuration are, and each setting for that which stands in neither the
// file nor the table of defaults. Secrets are not among them.
func (s *Settings) Environment() ([]string, error) {
	home, err := s.Home()
	if err != nil {
		return nil, err
	}
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	add("HOME", UserHome())
	add("XDG_CONFIG_HOME", os.Getenv("XDG_CONFIG_HOME"))
	add("SSL_CERT_FILE", absolute(os.Getenv("SSL_CERT_FILE")))
	add("SSL_CERT_DIR", absolute(filepath.SplitList(os.Getenv("SSL_CERT_DIR"))...))
	if s.layers.named {
		add(configVariable, absolute(s.layers.file.path))
	}
	for _, k := range s.keys() {
		text, from := s.layers.text(k.Name)
		switch {
		case !k.travels || from.inFile():
		case k.Name == "home":
			add(k.Variable(), home) // its default is of this environment too
		case from.layer == layerDefault:
		case k.path:
			path, err := absolutePath(text, "")
			if err != nil {
				return nil, err
			}
			add(k.Variable(), path)
		default:
			add(k.Variable(), text)
		}
	}
	return out, nil
}

// WithoutSecrets leaves out of an environment the variables that hold a secret,
// this program's and other clients': what is run because of an event needs none.
func WithoutSecrets(environ []string) []string {
	secret := map[string]bool{}
	for _, k := range Keys() {
		if k.Secret {
			secret[k.Variable()] = true
			for _, name := range k.Foreign {
				secret[name] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return secret[name]
	})
}

// absolute makes a list of paths independent of the current folder.
func absolute(list ...string) string {
	for i, path := range list {
		if abs, err := filepath.Abs(path); err == nil && path != "" {
			list[i] = abs
		}
	}
	return strings.Join(list, string(filepath.ListSeparator))
}

// NotSet is the origin of an API key that is nowhere.
const NotSet = "not set"

// Value is one setting as it is shown.
type Value struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`  // text, or a list of texts; of a secret what may be shown
	Origin string `json:"origin"` // "default", "flag --api-url", "environment X", "FILE line N"
}

// Text is the value on one line.
func (v Value) Text() string { return textOf(v.Value) }

// Values are all settings as they hold, right or wrong, in the order of Keys.
func (s *Settings) Values() []Value {
	var out []Value
	for _, k := range s.keys() {
		out = append(out, s.Value(k))
	}
	return out
}

// Value is one setting as it holds, right or wrong.
func (s *Settings) Value(k Key) Value {
	value, from := s.layers.get(k.Name)
	switch {
	case k.Name == "api_key":
		value, from.text = s.shownAPIKey()
	case k.Secret && value != "":
		value = shownKey(textOf(value))
	case k.list():
		value = listOf(value)
	}
	return Value{Key: k.Name, Value: value, Origin: from.text}
}

// usage is wrong configuration.
func usage(what, why, next string) error {
	return &problem.Error{Kind: problem.Usage, What: what, Why: why, Next: next, Origin: problem.OriginLocal}
}
