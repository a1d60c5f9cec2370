package keystore

import (
	"bytes"
	"os"
	"slices"
	"strings"
)

// known_hosts holds one line per host key and VM, "names type base64 vm-id":
// the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, with the id as comment.
// A new host key is appended; only a change rewrites the file, and then as
// text, without reading the records. Lines without a VM id are a person's own
// and stay.

// hostLines are the lines of one VM.
func (r Record) hostLines() []string {
	names := r.VMID
	if len(r.HostNames) > 0 {
		names = strings.Join(r.HostNames, ",")
	}
	var lines []string
	for _, h := range r.HostKeys {
		lines = append(lines, names+" "+h.Key+" "+r.VMID+"\n")
	}
	return lines
}

// updateKnownHosts brings the file from one state of a record to the next.
func (t *tx) updateKnownHosts(old, now Record) error {
	before, after := old.hostLines(), now.hostLines()
	if slices.Equal(before, after) {
		return nil
	}
	if len(after) > len(before) && slices.Equal(before, after[:len(before)]) {
		done, err := t.appendKnownHosts(strings.Join(after[len(before):], ""))
		if done || err != nil {
			return err
		}
	}
	return t.rewriteKnownHosts(now.VMID, after)
}

// appendKnownHosts adds lines. It declines when the file is missing or does
// not end in a newline, the mark of an append that was cut short.
func (t *tx) appendKnownHosts(lines string) (done bool, err error) {
	path := t.s.KnownHostsPath()
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || checkInfo("", path, info, 0o022, "") != nil {
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return false, ioError("write", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, ioError("write", path, err)
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return false, ioError("write", path, err)
		}
	}
	if last[0] != '\n' {
		return false, nil
	}
	if _, err := f.WriteString(lines); err != nil {
		return false, ioError("write", path, err)
	}
	return true, ioError("write", path, f.Sync())
}

// rewriteKnownHosts replaces the lines of one VM. When the file is missing,
// all VMs' lines are written.
func (t *tx) rewriteKnownHosts(id string, lines []string) error {
	old, err := readShown("read", t.s.KnownHostsPath(), maxDoc)
	if IsNotFound(err) || unusable(err) {
		return t.rebuildKnownHosts()
	}
	if err != nil {
		return err
	}
	return t.putKnownHosts(old, map[string]bool{id: true}, strings.Join(lines, ""))
}

// rebuildKnownHosts writes the file from all records.
func (t *tx) rebuildKnownHosts() error {
	old, err := readShown("read", t.s.KnownHostsPath(), maxDoc)
	if unusable(err) {
		err = t.setAside(fileKnownHosts, err)
	}
	if err != nil && !IsNotFound(err) {
		return err
	}
	ids, err := t.s.IDs()
	if err != nil {
		return err
	}
	var all strings.Builder
	known := map[string]bool{}
	for _, id := range ids {
		if rec, err := t.s.readRecord(id); err == nil {
			known[id] = true
			all.WriteString(strings.Join(rec.hostLines(), ""))
		}
	}
	return t.putKnownHosts(old, known, all.String())
}

// putKnownHosts writes old without the lines of the VMs in drop, then added.
func (t *tx) putKnownHosts(old []byte, drop map[string]bool, added string) error {
	var out bytes.Buffer
	for line := range bytes.Lines(old) {
		if !bytes.HasSuffix(line, []byte("\n")) || drop[lineID(line)] {
			continue
		}
		out.Write(line)
	}
	out.WriteString(added)
	if bytes.Equal(out.Bytes(), old) {
		return nil
	}
	return t.put(fileKnownHosts, out.Bytes())
}

// lineID returns the VM id at the end of a line, "" if there is none.
func lineID(line []byte) string {
	f := bytes.Fields(line)
	if len(f) < 4 || !validID(string(f[len(f)-1])) {
		return ""
	}
	return string(f[len(f)-1])
}

// refreshKnownHosts makes the lines of one VM what its record says.
func (t *tx) refreshKnownHosts(id string) error {
	rec, err := t.s.readRecord(id)
	if err != nil && !IsNotFound(err) {
		return err
	}
	rec.VMID = id
	if _, err := os.Lstat(t.s.KnownHostsPath()); err != nil && len(rec.HostKeys) == 0 {
		return nil
	}
	return t.rewriteKnownHosts(id, rec.hostLines())
}

// knownHostsOf reads a VM's host keys back from known_hosts.
func (s *Store) knownHostsOf(id string) (keys []HostKey, names []string) {
	data, err := readShown("read", s.KnownHostsPath(), maxDoc)
	if err != nil {
		return nil, nil
	}
	for line := range bytes.Lines(data) {
		if lineID(line) != id {
			continue
		}
		f := strings.Fields(string(line))
		if key, ok := cleanHostKey(f[1] + " " + f[2]); ok && len(keys) < maxHostKeys {
			keys = append(keys, HostKey{Key: key, FirstSeen: s.now()})
		}
		for name := range strings.SplitSeq(f[0], ",") {
			if validHostName(name) && name != id && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return keys, names
}
