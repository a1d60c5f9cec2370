package api

import "net"

// hasNetwork reports whether any interface but loopback is up, running and has
// an address beyond its own link. When in doubt it says yes.
func hasNetwork() bool {
	ifaces, err := net.Interfaces()
	if err != nil {
		return true
	}
	const up = net.FlagUp | net.FlagRunning
	for _, i := range ifaces {
		if i.Flags&up != up || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return true
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				return true
			}
		}
	}
	return false
}
