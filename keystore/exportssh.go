package keystore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SSHHost is what an OpenSSH configuration needs to know about one VM.
type SSHHost struct {
	Record       Record
	IdentityFile string
}

// The files of an exported folder besides the keys.
const (
	exportMarker = ".vers-fleet-export" // says that the folder is ours
	exportConfig = "config"
	lockExport   = "export"
)

// ExportSSH writes every key, decrypted, into dir for use with plain OpenSSH:
// <vm id> files (0600, folder 0700), known_hosts and, if render is not nil,
// the config file that render returns. It refuses a folder that has other
// things in it, and keeps one it wrote before up to date: keys of VMs that are
// no longer recorded are removed from it. VMs whose key cannot be read are
// Findings.
func (s *Store) ExportSSH(ctx context.Context, dir string, render func(dir string, hosts []SSHHost) ([]byte, error)) ([]SSHHost, []Finding, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, ioError("export keys", dir, err)
	}
	if err := prepareExport(dir); err != nil {
		return nil, nil, err
	}
	ids, err := s.IDs()
	if err != nil {
		return nil, nil, err
	}
	var hosts []SSHHost
	var findings []Finding
	var known strings.Builder
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return hosts, findings, err
		}
		key, err := s.key(id)
		if IsNotFound(err) {
			continue
		}
		if err != nil {
			findings = append(findings, findingOf(id, err))
			continue
		}
		rec, err := s.Record(id)
		if err != nil {
			findings = append(findings, findingOf(id, err))
			continue
		}
		path := filepath.Join(dir, id)
		if err := writeExport(path, key); err != nil {
			return hosts, findings, err
		}
		known.WriteString(strings.Join(rec.hostLines(), ""))
		hosts = append(hosts, SSHHost{Record: rec, IdentityFile: path})
	}
	return hosts, findings, finishExport(dir, hosts, known.String(), render)
}

// prepareExport makes sure that dir is a private folder that is empty or ours,
// and that leftovers of an interrupted export are gone.
func prepareExport(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return ioError("export keys", dir, err)
	}
	if err := makeFolder(dir); err != nil {
		return err
	}
	if err := checkFolder(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ioError("export keys", dir, err)
	}
	ours := len(entries) == 0
	for _, e := range entries {
		ours = ours || e.Name() == exportMarker
	}
	if !ours {
		return &Error{Kind: KindInvalid, Op: "export keys", Path: dir, Why: "the folder is not empty, and not an earlier export"}
	}
	for _, e := range entries {
		if isTemp(e.Name(), lockExport) {
			if err := discard(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return writeExport(filepath.Join(dir, exportMarker), []byte("written by vers-fleet keys export --ssh\n"))
}

func writeExport(path string, data []byte) error {
	st, err := stage(lockExport, path, data, true)
	if err != nil {
		return err
	}
	return st.commit()
}

// finishExport removes keys that are no longer in the store, writes the files
// that go with the keys and syncs the folder.
func finishExport(dir string, hosts []SSHHost, known string, render func(string, []SSHHost) ([]byte, error)) error {
	keep := map[string]bool{}
	for _, h := range hosts {
		keep[h.Record.VMID] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ioError("export keys", dir, err)
	}
	for _, e := range entries {
		if validID(e.Name()) && !keep[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return ioError("export keys", dir, err)
			}
		}
	}
	if err := writeExport(filepath.Join(dir, fileKnownHosts), []byte(known)); err != nil {
		return err
	}
	if render != nil {
		config, err := render(dir, hosts)
		if err != nil {
			return err
		}
		if err := writeExport(filepath.Join(dir, exportConfig), config); err != nil {
			return err
		}
	}
	return syncFolder(dir)
}
