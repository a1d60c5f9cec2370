package inventory

import "net"

// Front is the platform's TLS front, through which every VM is reached by its
// host name.
type Front struct {
	Domain  string // host names of VMs are <vm id>.<Domain>
	Gateway string // host:port dialled for every VM; "" = <host name>:443
}

// HostName is the VM's name on the platform, and its SNI.
func (f Front) HostName(id string) string { return id + "." + f.Domain }

// Address is the host:port that is dialled for the VM.
func (f Front) Address(id string) string {
	if f.Gateway != "" {
		return f.Gateway
	}
	return net.JoinHostPort(f.HostName(id), "443")
}
