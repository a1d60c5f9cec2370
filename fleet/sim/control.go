package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// controlTimeout bounds a steering call; the simulator is on this machine.
const controlTimeout = 20 * time.Second

// Control steers a simulator that runs in another process.
type Control struct {
	url    string
	client *http.Client
}

// NewControl returns a Control for the URL in VERS_FLEET_SIM.
func NewControl(controlURL string) (*Control, error) {
	u, err := url.Parse(controlURL)
	if err != nil || u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("%q is not the control URL of a simulator (see VERS_FLEET_SIM)", controlURL)
	}
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	return &Control{url: strings.TrimSuffix(controlURL, "/"), client: &http.Client{Transport: transport, Timeout: controlTimeout}}, nil
}

// Status is what a simulator tells about itself.
type Status struct {
	BaseURL string     `json:"base_url"`
	Gateway string     `json:"gateway"`
	CAFile  string     `json:"ca_file"`
	Dir     string     `json:"dir"`
	Faults  []Fault    `json:"faults"`
	VMs     []vmStatus `json:"vms"`
	Commits []Commit   `json:"commits"`
	Calls   int        `json:"calls"`
}

// vmStatus is one VM in a Status.
type vmStatus struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Role   string            `json:"role"`
	State  string            `json:"state"`
	Labels map[string]string `json:"labels"`
	Busy   bool              `json:"busy"` // a lieutenant at work
}

// Status reads the simulator's state.
func (c *Control) Status(ctx context.Context) (Status, error) {
	var st Status
	return st, c.call(ctx, http.MethodGet, "/state", nil, &st)
}

// SetFault switches a fault on, or with the kind "off" ends all.
func (c *Control) SetFault(ctx context.Context, f Fault) error {
	return c.call(ctx, http.MethodPost, "/faults", f, nil)
}

// Deed makes one of the Deeds happen to a lieutenant.
func (c *Control) Deed(ctx context.Context, vm, deed string) error {
	return c.call(ctx, http.MethodPost, "/deed", vmRequest{VM: vm, Deed: deed}, nil)
}

// Reap deletes a VM with all that is in it, as the platform does after an
// outage.
func (c *Control) Reap(ctx context.Context, vm string) error {
	return c.call(ctx, http.MethodPost, "/delete", vmRequest{VM: vm}, nil)
}

// SetVMState changes a VM's state.
func (c *Control) SetVMState(ctx context.Context, vm, state string) error {
	return c.call(ctx, http.MethodPost, "/vm-state", vmRequest{VM: vm, State: state}, nil)
}

// RotateKey gives a VM a new login key.
func (c *Control) RotateKey(ctx context.Context, vm string) error {
	return c.call(ctx, http.MethodPost, "/rotate-key", vmRequest{VM: vm}, nil)
}

// RotateHostKey gives a VM a new host key.
func (c *Control) RotateHostKey(ctx context.Context, vm string) error {
	return c.call(ctx, http.MethodPost, "/rotate-host-key", vmRequest{VM: vm}, nil)
}

// WriteNames has the agent extension write its list of lieutenants, or an empty
// one.
func (c *Control) WriteNames(ctx context.Context, none bool) error {
	return c.call(ctx, http.MethodPost, "/names", none, nil)
}

// Cut resets every open SSH connection.
func (c *Control) Cut(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/cut", nil, nil)
}

// Stop ends the simulator.
func (c *Control) Stop(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/stop", nil, nil)
}

// vmRequest is the body of calls about one VM.
type vmRequest struct {
	VM    string `json:"vm"`
	State string `json:"state,omitempty"`
	Deed  string `json:"deed,omitempty"`
}

// controlError is the body of a refused steering call.
type controlError struct {
	Error string `json:"error"`
}

func (c *Control) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("no simulator answers (is `vers-fleet sim` running?): %w", redactURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var ce controlError
		if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&ce) == nil && ce.Error != "" {
			return fmt.Errorf("simulator: %s", ce.Error)
		}
		return fmt.Errorf("simulator answers %s", resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// redactURL takes the URL, which carries the control secret, off an error.
func redactURL(err error) error {
	if ue, ok := err.(*url.Error); ok {
		return ue.Err
	}
	return err
}
