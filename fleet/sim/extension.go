package sim

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// errLabelled is the error of what only the agent extension's file is for.
var errLabelled = errors.New("the lieutenants of this simulator have labels, and the agent extension no file: start it with --unlabelled")

// versHome is where the agent extension of an operator of this platform keeps
// its files: $VERS_HOME.
func (s *Sim) versHome() string { return filepath.Join(s.dir, "vers") }

// WriteNames has the agent extension write its lieutenants.json. With none it
// lists no lieutenant: so does a restarting extension in an outage, which takes
// its VMs for gone (docs/platform.md).
func (s *Sim) WriteNames(none bool) error {
	if !s.cfg.Unlabelled {
		return errLabelled
	}
	type entry struct {
		Name   string `json:"name"`
		Role   string `json:"role"`
		VMID   string `json:"vmId"`
		Local  bool   `json:"isLocal"`
		Status string `json:"status"`
	}
	file := struct {
		Lieutenants []entry   `json:"lieutenants"`
		SavedAt     time.Time `json:"savedAt"`
	}{[]entry{}, s.now().UTC()}
	for _, vm := range s.VMs() {
		if !none && vm.duty != "" {
			file.Lieutenants = append(file.Lieutenants, entry{Name: vm.nick, Role: vm.duty, VMID: vm.id, Status: "idle"})
		}
	}
	data, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.versHome(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.versHome(), "lieutenants.json"), append(data, '\n'), 0o600)
}
