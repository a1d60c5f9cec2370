package sim

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/vers-fleet/vers-fleet/fleet/sim/box"
)

const (
	maxExecOutput = 4 << 20 // bytes of each stream that the exec call returns
	maxLogEntries = 1000    // per VM
	execTimeout   = 30 * time.Second
)

// logEntry is one piece of output of an exec call.
type logEntry struct {
	Timestamp string  `json:"timestamp"`
	Stream    string  `json:"stream"`
	Data      string  `json:"data_b64"`
	ExecID    *string `json:"exec_id"`
}

type execBody struct {
	Command    []string          `json:"command"`
	Env        map[string]string `json:"env"`
	Stdin      *string           `json:"stdin"`
	WorkingDir *string           `json:"working_dir"`
	TimeoutSec *int              `json:"timeout_secs"`
	ExecID     *string           `json:"exec_id"`
}

// postExec runs a command in the VM's sandboxed shell.
func (s *Sim) postExec(w http.ResponseWriter, r *request) {
	var body execBody
	if !readJSON(w, r, &body) {
		return
	}
	if body.ExecID != nil && uuid.Validate(*body.ExecID) != nil {
		plainText(w, http.StatusUnprocessableEntity, "Failed to deserialize the JSON body into the target type: exec_id: UUID parsing failed")
		return
	}
	if !known(w, r) {
		return
	}
	if len(body.Command) == 0 {
		writeError(w, http.StatusBadRequest, "command must not be empty")
		return
	}
	if !r.vm.running() {
		writeError(w, http.StatusInternalServerError, "vm is not running")
		return
	}
	m, err := r.vm.machine()
	if err != nil {
		writeError(w, http.StatusInternalServerError, "vm could not be reached")
		return
	}
	stdout, stderr := &limitedBuffer{limit: maxExecOutput}, &limitedBuffer{limit: maxExecOutput}
	status := r.vm.runExec(r.Context(), m, body, stdout, stderr)
	r.vm.log("stdout", stdout.Bytes(), body.ExecID)
	r.vm.log("stderr", stderr.Bytes(), body.ExecID)
	writeJSON(w, http.StatusOK, map[string]any{"exit_code": status, "exec_id": body.ExecID,
		"stdout": strings.ToValidUTF8(stdout.String(), "\uFFFD"), "stderr": strings.ToValidUTF8(stderr.String(), "\uFFFD")})
}

func (vm *VM) runExec(ctx context.Context, m *box.Machine, body execBody, stdout, stderr *limitedBuffer) int {
	timeout := execTimeout
	if body.TimeoutSec != nil && *body.TimeoutSec > 0 {
		timeout = time.Duration(*body.TimeoutSec) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session := box.Session{Command: box.Quote(body.Command), Stdout: stdout, Stderr: stderr, Stdin: strings.NewReader("")}
	for key, value := range body.Env {
		session.Env = append(session.Env, key+"="+value)
	}
	if body.Stdin != nil {
		session.Stdin = strings.NewReader(*body.Stdin)
	}
	if body.WorkingDir != nil {
		session.Dir = *body.WorkingDir
	}
	return m.Run(ctx, session)
}

func (vm *VM) log(stream string, data []byte, execID *string) {
	if len(data) == 0 {
		return
	}
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if len(vm.logs) < maxLogEntries {
		vm.logs = append(vm.logs, logEntry{Timestamp: apiTime(vm.sim.now()), Stream: stream,
			Data: base64.StdEncoding.EncodeToString(data), ExecID: execID})
	}
}

func (s *Sim) getLogs(w http.ResponseWriter, r *request) {
	offset, okOffset := queryInt(r, "offset", 0)
	limit, okLimit := queryInt(r, "max_entries", maxLogEntries)
	stream := r.URL.Query().Get("stream")
	if !okOffset || !okLimit || (stream != "" && stream != "stdout" && stream != "stderr") {
		bare(w, http.StatusBadRequest, "Failed to deserialize query string")
		return
	}
	if !known(w, r) {
		return
	}
	r.vm.mu.Lock()
	logs := r.vm.logs[min(offset, len(r.vm.logs)):]
	r.vm.mu.Unlock()
	entries := []logEntry{}
	next := offset
	for _, e := range logs {
		if len(entries) == limit {
			break
		}
		next++
		if stream == "" || stream == e.Stream {
			entries = append(entries, e)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"entries": entries, "next_offset": next, "eof": next == offset+len(logs)})
}

// limitedBuffer keeps the first limit bytes written to it.
type limitedBuffer struct {
	bytes.Buffer
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), b.limit-b.Len())])
	return len(p), nil
}
