package cmd

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/cmd/ui"
)

// Settings are the checked settings of one profile. Secrets are not among the
// fields; APIKey and RegistryToken fetch them when they are needed.
type Settings struct {
	Profile   string
	APIURL    string
	VMDomain  string
	VMGateway string // host:port or ""
	TLSCA     string // file or ""
	TLSVerify bool
	PullPaths []string

	RetryMaxElapsed, RetryBase, RetryCap time.Duration
	QueueExpires                         time.Duration

	StrictSSH    bool
	Share        time.Duration // how long an unused connection is kept; 0 = none is shared
	KeysIdentity string        // file or ""
	KeysKeyring  bool
	RegistryURL  string // "" when not configured

	layers *layers
	paths  paths
	warn   func(string)
	stderr io.Writer // of api_key_command
}

func loadSettings(e *Env) (*Settings, error) {
	warn := func(s string) { e.Streams.Warnf("%s", s) }
	l, err := loadLayers(e, warn)
	if err != nil {
		return nil, err
	}
	s := &Settings{layers: l, paths: paths{e.Getenv}, warn: warn, stderr: e.Streams.Err}
	r := reader{l: l, paths: s.paths}
	s.Profile = l.profile
	s.APIURL = r.url("api_url")
	s.VMDomain = r.host("vm_domain")
	s.VMGateway = r.hostPort("vm_gateway")
	s.TLSCA = r.path("tls_ca")
	s.TLSVerify = r.bool("tls_verify")
	s.PullPaths = r.list("pull.paths")
	s.RetryMaxElapsed = r.duration("retry.max_elapsed")
	s.RetryBase = r.duration("retry.base")
	s.RetryCap = r.duration("retry.cap")
	s.QueueExpires = r.duration("queue.expires")
	s.StrictSSH = r.bool("ssh.strict")
	if s.Share = r.idle("ssh.share"); l.origins["ssh.share"].layer == layerDefault && inCI(e.Getenv) {
		s.Share = 0 // a job must leave no process behind
	}
	s.KeysIdentity = r.path("keys.identity")
	s.KeysKeyring = r.bool("keys.keyring")
	s.RegistryURL = r.url("registry.url")
	if r.err != nil {
		return nil, r.err
	}
	s.warnOpenFile()
	return s, nil
}

// warnOpenFile tells when others may read a secret in the configuration file.
func (s *Settings) warnOpenFile() {
	if runtime.GOOS == "windows" { // its permission bits say nothing
		return
	}
	for _, key := range []string{"api_key", "registry.token"} {
		ly := s.layers.origins[key].layer
		info, err := os.Stat(s.layers.file.path)
		if (ly == layerFile || ly == layerProfile) && err == nil && info.Mode().Perm()&0o077 != 0 {
			s.warn(fmt.Sprintf("others can read %s, which holds %s; run: chmod 600 '%s'", s.layers.file.path, key, s.layers.file.path))
		}
	}
}

// Home is the folder of all local state, absolute. It fails only when neither
// `home` nor a home directory is known.
func (s *Settings) Home() (string, error) {
	r := reader{l: s.layers, paths: s.paths}
	home := r.path("home")
	if r.err != nil || home != "" {
		return home, r.err
	}
	return s.paths.data()
}

// ProxyEnv are the NAME=VALUE words with which a program that has an empty
// environment reaches the VMs as this one does: where home and configuration
// are, and each setting for that which stands in neither the file nor the
// table of defaults. Secrets are not among them.
func (s *Settings) ProxyEnv() ([]string, error) {
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	add("HOME", s.paths.userHome())
	add("XDG_CONFIG_HOME", s.paths.getenv("XDG_CONFIG_HOME"))
	add("SSL_CERT_FILE", absolute(s.paths.getenv("SSL_CERT_FILE")))
	add("SSL_CERT_DIR", absolute(filepath.SplitList(s.paths.getenv("SSL_CERT_DIR"))...))
	if s.layers.named {
		add("VERS_FLEET_CONFIG", absolute(s.layers.file.path))
	}
	r := reader{l: s.layers, paths: s.paths}
	for _, k := range settingKeys() {
		from := s.layers.origins[k.name].layer
		switch {
		case !k.road || from == layerFile || from == layerProfile:
		case k.name == "home":
			home, err := s.Home() // its default is of this environment too
			if err != nil {
				return nil, err
			}
			add(k.variable(), home)
		case from == layerDefault:
		case k.typ == asPath:
			add(k.variable(), r.path(k.name))
		default:
			add(k.variable(), r.text(k.name))
		}
	}
	return out, r.err
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

// UserHome is the home directory, "" when there is none.
func (s *Settings) UserHome() string { return s.paths.userHome() }

// reader turns settings into values and keeps the first error.
type reader struct {
	l     *layers
	paths paths
	err   error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = usageError(fmt.Sprintf("%s is wrong: %s", key, fmt.Sprintf(format, args...)),
			"the value comes from "+r.l.origins[key].text, "correct it there; see: vers-fleet help environment")
	}
}

func (r *reader) text(key string) string { return strings.TrimSpace(r.l.v.GetString(key)) }

func (r *reader) url(key string) string {
	v := r.text(key)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	switch {
	case err != nil:
		r.fail(key, "%q is not a URL", ui.Clean(v))
	case u.User != nil:
		r.fail(key, "a URL with a user name or password is refused") // and not repeated
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		r.fail(key, "%q is not an http or https URL, such as https://api.vers.ai", ui.Clean(v))
	case u.RawQuery != "" || u.Fragment != "":
		r.fail(key, "%q must end after the path", ui.Clean(v))
	}
	return strings.TrimRight(v, "/")
}

func (r *reader) host(key string) string {
	v := strings.TrimSuffix(r.text(key), ".")
	if !validHost(v) {
		r.fail(key, "%q is not a domain name", ui.Clean(v))
	}
	return v
}

func (r *reader) hostPort(key string) string {
	v := r.text(key)
	if v == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(v)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || net.ParseIP(host) == nil && !validHost(host) {
		r.fail(key, "%q is not host:port, such as gateway.example:443", ui.Clean(v))
	}
	return v
}

// validHost follows RFC 1123: labels of letters, digits and inner dashes.
func validHost(h string) bool {
	if h == "" || len(h) > 253 {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func (r *reader) bool(key string) bool {
	switch v := strings.ToLower(r.text(key)); v {
	case "true", "yes", "on", "1":
		return true
	case "false", "no", "off", "0":
		return false
	default:
		r.fail(key, "%q is neither true nor false", ui.Clean(v))
		return false
	}
}

func (r *reader) duration(key string) time.Duration {
	v := r.text(key)
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		r.fail(key, "%q is not a positive duration, such as 30s or 5m", ui.Clean(v))
	}
	return d
}

// idle reads a duration, or off as 0.
func (r *reader) idle(key string) time.Duration {
	switch strings.ToLower(r.text(key)) {
	case "off", "no", "false", "0":
		return 0
	}
	return r.duration(key)
}

// inCI recognises an unattended job, as the services mark it.
func inCI(getenv func(string) string) bool {
	v := strings.ToLower(getenv("CI"))
	return v != "" && v != "0" && v != "false"
}

func (r *reader) list(key string) []string {
	var out []string
	for _, v := range listOf(r.l.v.Get(key)) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		r.fail(key, "it needs at least one entry")
	}
	return out
}

func listOf(v any) []string {
	if list, ok := v.([]string); ok {
		return list
	}
	return strings.Split(fmt.Sprint(v), ",")
}

// path resolves "~/" and takes a relative path of the configuration file
// relative to that file, of anything else to the current folder.
func (r *reader) path(key string) string {
	v := r.text(key)
	if v == "" {
		return ""
	}
	if rest, ok := strings.CutPrefix(v, "~/"); ok {
		home := r.paths.userHome()
		if home == "" {
			r.fail(key, "%q needs a home directory, and HOME is not set", ui.Clean(v))
		}
		return filepath.Join(home, rest)
	}
	if o := r.l.origins[key].layer; !filepath.IsAbs(v) && (o == layerFile || o == layerProfile) {
		v = filepath.Join(filepath.Dir(r.l.file.path), v)
	}
	abs, err := filepath.Abs(v)
	if err != nil {
		r.fail(key, "%q cannot be made absolute: %v", ui.Clean(v), err)
	}
	return abs
}
