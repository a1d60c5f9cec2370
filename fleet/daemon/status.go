package daemon

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vers-fleet/vers-fleet/fleet/problem"
)

// Status is what a daemon tells of itself. The JSON names are stable.
type Status struct {
	Running     bool           `json:"running"`
	PID         int            `json:"pid,omitempty"`
	Profile     string         `json:"profile"`
	Since       time.Time      `json:"since_at,omitzero"`
	VMs         int            `json:"vms"`
	Keys        int            `json:"with_key"`
	Unreachable []string       `json:"unreachable"` // VMs whose last drill failed, and why
	Lieutenants map[string]int `json:"lieutenants"` // how many are in each phase
	Events      int64          `json:"events"`      // seq of the last
	Mirror      MirrorStatus   `json:"mirror"`
	Loops       []LoopStatus   `json:"loops"`
}

// MirrorStatus is where the work is kept.
type MirrorStatus struct {
	Folder string     `json:"folder,omitempty"` // "" = the work is not mirrored
	VMs    []MirrorVM `json:"vms"`
}

// status is how the daemon is now.
func (w *work) status() Status {
	s := Status{Running: true, PID: os.Getpid(), Profile: w.o.Profile, Since: w.began, Unreachable: []string{}, Lieutenants: w.followers.phases(),
		Mirror: MirrorStatus{Folder: w.o.Mirror.Folder, VMs: w.mirror.vms()}, Loops: []LoopStatus{}}
	for _, l := range w.loops() {
		s.Loops = append(s.Loops, l.now())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	names := map[string]string{}
	for _, vm := range w.vms {
		s.VMs++
		names[vm.ID] = vm.Title()
		if vm.Key.Recorded {
			s.Keys++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.lost)) {
		s.Unreachable = append(s.Unreachable, title(names[id], id)+": "+w.lost[id])
	}
	_, s.Events, _ = w.o.Events.After(0) // what cannot be read is said where it is asked for
	return s
}

// LogName is the name of the daemon's log in the profile's folder.
const LogName = "daemon"

// LogLine is one line of the daemon's log. The JSON names are stable.
type LogLine struct {
	At     time.Time      `json:"at"`
	Level  string         `json:"level"`
	Text   string         `json:"text"`
	Fields map[string]any `json:"fields"`
}

// Logs are the lines that are kept of what the daemon logged, oldest first. The
// error is of kind Storage.
func (d *Daemon) Logs() ([]LogLine, error) {
	data, err := d.o.Store.Log(LogName).Read()
	if err != nil {
		return nil, problem.OfStorage("read what the daemon logged", err)
	}
	out := []LogLine{}
	for line := range bytes.Lines(data) {
		fields := map[string]any{}
		if json.Unmarshal(line, &fields) != nil { // cut off when the log was begun anew
			continue
		}
		at, _ := time.Parse(time.RFC3339Nano, text(fields, slog.TimeKey))
		out = append(out, LogLine{At: at.UTC(), Level: strings.ToLower(text(fields, slog.LevelKey)), Text: text(fields, slog.MessageKey), Fields: fields})
	}
	return out, nil
}

// text takes a field out of a line.
func text(fields map[string]any, key string) string {
	s, _ := fields[key].(string)
	delete(fields, key)
	return s
}
