package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Key is one setting, declared once.
type Key struct {
	Name    string
	Default string // "" is none
	Help    string
	Foreign []string // variables of other clients that mean it too; the first that is set counts
	Flag    string   // "" is none
	Secret  bool

	into    any                          // the field that holds it: *string, *bool, *int, *time.Duration or *[]string
	check   func(string) (string, error) // refuses a text, or returns it in its usual form
	path    bool                         // names a file or folder
	travels bool                         // part of Environment: it decides how VMs are reached
}

// versURL holds a host only; the API lives at /api/v1 below it.
const versURL = "VERS_URL"

// Keys is the table of settings.
func Keys() []Key { return new(Settings).keys() }

func (s *Settings) keys() []Key {
	return slices.Concat(s.keysOfAccess(), s.keysOfWork(), s.keysOfServices())
}

// keysOfAccess say where the API and the VMs are, and where all state is.
func (s *Settings) keysOfAccess() []Key {
	return []Key{
		{Name: "profile", Default: "default", Flag: "profile", Help: "account or endpoint to use; also --profile",
			into: &s.Profile, check: profileName},
		{Name: "api_url", Default: "https://api.vers.ai", Foreign: []string{"VERS_BASE_URL", versURL}, Flag: "api-url", Help: "base URL of the API; also --api-url",
			into: &s.APIURL, check: webAddress, travels: true},
		{Name: "api_key", Foreign: []string{"VERS_API_KEY"}, Help: "API key", Secret: true, check: noBlanks},
		{Name: "api_key_command", Help: "shell command that prints the API key"},
		{Name: "vm_domain", Default: "vm.vers.sh", Help: "domain of the VMs: each is reached as its id in it, port 443",
			into: &s.VMDomain, check: domain, travels: true},
		{Name: "vm_gateway", Help: "host:port to dial for every VM instead; the TLS name stays",
			into: &s.VMGateway, check: hostPort, travels: true},
		{Name: "tls_ca", Help: "file with CA certificates trusted for VMs besides the system's",
			into: &s.TLSCA, path: true, travels: true},
		{Name: "tls_verify", Default: "true", Help: "false turns the check of TLS certificates of VMs off",
			into: &s.TLSVerify, travels: true},
		{Name: "home", Default: "$XDG_DATA_HOME/vers-fleet", Help: "folder of all local state, one folder per profile",
			into: &s.home, path: true, travels: true},
	}
}

// keysOfWork say what is done, and how patiently.
func (s *Settings) keysOfWork() []Key {
	return []Key{
		{Name: "pull.paths", Default: "/root/workspace", Help: "what pull fetches when no path is given; commas separate in the variable",
			into: &s.PullPaths},
		{Name: "mirror.folder", Help: "folder in which the daemon keeps the fleet's work, one folder per VM; none: it does not",
			into: &s.MirrorFolder, path: true},
		{Name: "mirror.paths", Help: "what the daemon fetches from each VM; none: pull.paths", into: &s.MirrorPaths},
		{Name: "mirror.keep", Default: "all", Help: "how many last states of former VMs of the same name the mirror keeps, or all",
			into: &s.MirrorKeep, check: countOrAll},
		{Name: "lieutenant.silent_after", Default: "10m", Help: "a lieutenant at work that says nothing for so long is silent; or off",
			into: &s.SilentAfter, check: orOff},
		{Name: "retry.max_elapsed", Default: "10s", Help: "how long a call of the API is retried", into: &s.RetryMaxElapsed},
		{Name: "retry.base", Default: "250ms", Help: "first wait between two tries, before jitter", into: &s.RetryBase},
		{Name: "retry.cap", Default: "5s", Help: "longest wait between two tries", into: &s.RetryCap},
		{Name: "queue.expires", Default: "24h", Help: "a queued commit older than this is not sent", into: &s.QueueExpires},
		{Name: "ssh.strict", Default: "false", Help: "true refuses VMs whose host key was never seen before",
			into: &s.StrictSSH, travels: true},
		{Name: "ssh.connect_timeout", Default: "30s", Help: "how long a connection to a VM may take to be made, with all its addresses",
			into: &s.ConnectTimeout, travels: true},
		{Name: "ssh.share", Default: "5m", Help: "how long an unused connection is kept for later commands, or off, as it is where CI is set",
			into: &s.Share, check: orOff, travels: true},
	}
}

// keysOfServices say what unlocks the keystore, and who else knows names.
func (s *Settings) keysOfServices() []Key {
	return []Key{
		{Name: "keys.identity", Help: "age or SSH identity file that unlocks an encrypted keystore",
			into: &s.KeysIdentity, path: true},
		{Name: "keys.keyring", Default: "false", Help: "true keeps the keystore's passphrase in the system's keyring",
			into: &s.KeysKeyring},
		{Name: "registry.url", Foreign: []string{"VERS_INFRA_URL"}, Help: "base URL of the registry that knows names of VMs",
			into: &s.RegistryURL, check: webAddress},
		{Name: "registry.token", Foreign: []string{"VERS_AUTH_TOKEN"}, Help: "bearer token for the registry", Secret: true, check: noBlanks},
	}
}

// Variable is the key's own variable.
func (k Key) Variable() string {
	return "VERS_FLEET_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(k.Name))
}

// list reports whether the value is a list of texts.
func (k Key) list() bool { _, ok := k.into.(*[]string); return ok }

// Find returns the key of that name. The error names the nearest one.
func Find(name string) (Key, error) {
	for _, k := range Keys() {
		if k.Name == name {
			return k, nil
		}
	}
	next := "all keys: vers-fleet help environment"
	if near := nearest(name, keyNames()); near != "" {
		next = "did you mean " + near + "? " + next
	}
	return Key{}, usage(fmt.Sprintf("there is no setting %q", name), "", next)
}

func keyNames() []string {
	var names []string
	for _, k := range Keys() {
		names = append(names, k.Name)
	}
	return names
}

func nearest(word string, candidates []string) string {
	return strings.Join(problem.Nearest(word, candidates, 1), "")
}

// parse checks a value, a text or a list of them, and puts it into the field.
// A relative path counts from the folder of the file it stands in.
func (k Key) parse(value any, folder string) error {
	text := strings.TrimSpace(textOf(value))
	var err error
	switch {
	case text == "" && (k.Default == "" || k.path):
		return nil
	case k.path:
		text, err = absolutePath(text, folder)
	case k.check != nil:
		text, err = k.check(text)
	}
	if err != nil {
		return err
	}
	switch into := k.into.(type) {
	case *string:
		*into = text
	case *bool:
		*into, err = truth(text)
	case *time.Duration:
		*into, err = positive(text, k.check != nil)
	case *int:
		*into, err = strconv.Atoi(text)
	case *[]string:
		if *into = listOf(value); len(*into) == 0 {
			err = errors.New("it needs at least one entry")
		}
	}
	return err
}

// written is how a value that was given on the command line stands in the
// file: checked, and independent of the current folder.
func (k Key) written(text string) (any, error) {
	if err := k.parse(text, ""); err != nil {
		return nil, err
	}
	switch into := k.into.(type) {
	case *bool:
		return *into, nil
	case *[]string:
		return *into, nil
	case *string:
		if k.path && !strings.HasPrefix(text, "~/") {
			return *into, nil
		}
	case nil:
		if k.check != nil {
			_, err := k.check(text)
			return text, err
		}
	}
	return text, nil
}

func textOf(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(value)
}

// listOf is a list, or the parts of a text between commas, without empty ones.
func listOf(value any) []string {
	list, ok := value.([]string)
	if !ok {
		list = strings.Split(fmt.Sprint(value), ",")
	}
	var out []string
	for _, v := range list {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func truth(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", v)
}

func positive(v string, orZero bool) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d == 0 && !orZero {
		return 0, fmt.Errorf("%q is not a positive duration, such as 30s or 5m", v)
	}
	return d, nil
}

// countOrAll lets all stand for 0.
func countOrAll(v string) (string, error) {
	if strings.EqualFold(v, "all") {
		return "0", nil
	}
	if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is neither a number from 1 on nor all", v)
	}
	return v, nil
}

// orOff lets off stand for no time at all.
func orOff(v string) (string, error) {
	if slices.Contains([]string{"off", "no", "false"}, strings.ToLower(v)) {
		return "0", nil
	}
	return v, nil
}

func webAddress(v string) (string, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is not a URL", v)
	case u.User != nil:
		return "", errors.New("a URL with a user name or password is refused") // and not repeated
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%q is not an http or https URL, such as https://api.vers.ai", v)
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q must end after the path", v)
	}
	return strings.TrimRight(v, "/"), nil
}

func domain(v string) (string, error) {
	if host := strings.TrimSuffix(v, "."); validHost(host) {
		return host, nil
	}
	return "", fmt.Errorf("%q is not a domain name", v)
}

func hostPort(v string) (string, error) {
	host, port, err := net.SplitHostPort(v)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || net.ParseIP(host) == nil && !validHost(host) {
		return "", fmt.Errorf("%q is not host:port, such as gateway.example:443", v)
	}
	return v, nil
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

// noBlanks admits what can be sent as a bearer token.
func noBlanks(v string) (string, error) {
	if strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }) >= 0 {
		return "", errors.New("it contains blanks or control characters")
	}
	return v, nil
}

// profileName admits what is safe as a folder name everywhere.
func profileName(v string) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if v == "" || len(v) > 64 || strings.Trim(v, letters+"._-") != "" || !strings.ContainsAny(v[:1], letters) || v[len(v)-1] == '.' {
		return "", errors.New("a name has letters, digits, dots, dashes and underscores, starts with a letter or digit, and is at most 64 long")
	}
	return v, nil
}

// absolutePath resolves "~/", and takes a relative path as one below folder,
// which is the current one if "".
func absolutePath(v, folder string) (string, error) {
	if rest, ok := strings.CutPrefix(v, "~/"); ok {
		home := UserHome()
		if home == "" {
			return "", fmt.Errorf("%q needs a home directory, and HOME is not set", v)
		}
		return filepath.Join(home, rest), nil
	}
	if !filepath.IsAbs(v) {
		v = filepath.Join(folder, v)
	}
	abs, err := filepath.Abs(v)
	if err != nil {
		return "", fmt.Errorf("%q cannot be made absolute: %w", v, err)
	}
	return abs, nil
}
