package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// configVersion is the version of store.json this package writes.
const configVersion = 1

// Mode says how keys are kept.
type Mode string

// The modes.
const (
	ModePlain      Mode = "plain"      // 0600 files, the default
	ModePassphrase Mode = "passphrase" // to an identity of the store, itself under a passphrase
	ModeIdentity   Mode = "identity"   // to age or SSH recipients
)

// config is store.json. Without it the store is plain.
type config struct {
	Version    int      `json:"version"`
	Mode       Mode     `json:"mode"`
	Recipients []string `json:"recipients,omitempty"`
	Changing   bool     `json:"changing,omitempty"` // an Encrypt, Decrypt or Rekey has not finished
}

func (s *Store) readConfig() (config, error) {
	path := s.path(fileConfig)
	data, err := readPrivate("read settings of the keystore", path, maxRecord)
	if IsNotFound(err) {
		return config{Version: configVersion, Mode: ModePlain}, nil
	}
	if err != nil {
		return config{}, err
	}
	var c config
	err = json.Unmarshal(data, &c)
	if c.Version > configVersion {
		return c, nil
	}
	modes := []Mode{ModePlain, ModePassphrase, ModeIdentity}
	if err != nil || c.Version < 1 || !slices.Contains(modes, c.Mode) || (c.Mode == ModePlain) != (len(c.Recipients) == 0) {
		// Writing plain keys into a store that was encrypted would be worse
		// than writing none.
		return config{}, &Error{Kind: KindDamaged, Op: "read settings of the keystore", Path: path, Why: "they are not what was written"}
	}
	return c, nil
}

// checkWritable refuses to write keys into a newer version's store.
func (s *Store) checkWritable() error {
	c, err := s.readConfig()
	if err == nil && c.Version > configVersion {
		return newer(s.path(fileConfig))
	}
	return err
}

func (t *tx) putConfig(c config) error {
	c.Version = configVersion
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return invalid("write settings of the keystore", "%v", err)
	}
	return t.put(fileConfig, append(data, '\n'))
}

// fingerprint names a set of recipients in a FileRef; "" for none.
func fingerprint(recipients []string) string {
	if len(recipients) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(recipients))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return hex.EncodeToString(sum[:8])
}
