package sshd

import (
	"os"
	"path/filepath"
	"strings"
)

// accountFiles writes the account files that the mount namespace needs instead
// of the machine's own, and returns them by the path that they stand for:
//   - a passwd file with the login shell that is wanted, which is busybox's if
//     only busybox is: minimal images have no bash;
//   - a shadow file, if the account is locked, as installers leave root: sshd
//     without PAM refuses locked accounts whatever the key.
func (s *Server) accountFiles() (map[string]string, error) {
	files := map[string]string{}
	edits := map[string]func(fields []string) bool{
		"/etc/shadow": func(fields []string) bool {
			locked := strings.HasPrefix(fields[1], "!")
			fields[1] = "*"
			return locked
		},
		"/etc/passwd": func(fields []string) bool {
			shell := s.opt.Shell
			if s.opt.Busybox {
				shell = filepath.Join(s.appletDir(), "sh")
			}
			fields[len(fields)-1] = shell
			return shell != ""
		},
	}
	for path, edit := range edits {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // a machine without shadow file has no locked accounts
		}
		text, changed := editAccount(string(raw), s.User, edit)
		if !changed {
			continue
		}
		files[path] = filepath.Join(s.opt.Dir, filepath.Base(path))
		if err := os.WriteFile(files[path], []byte(text), 0o600); err != nil {
			return nil, err
		}
		if path == "/etc/passwd" { // other users of the namespace look names up
			if err := os.Chmod(files[path], 0o644); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// editAccount lets edit change the colon-separated fields of one user's line;
// edit tells whether the change is wanted.
func editAccount(text, user string, edit func(fields []string) bool) (string, bool) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		fields := strings.Split(line, ":")
		if len(fields) < 2 || fields[0] != user {
			continue
		}
		if !edit(fields) {
			return "", false
		}
		lines[i] = strings.Join(fields, ":")
		return strings.Join(lines, "\n"), true
	}
	return "", false
}
