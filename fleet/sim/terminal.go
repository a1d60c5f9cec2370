package sim

import "github.com/vers-fleet/vers-fleet/fleet/sim/box"

// terminal runs a command, or with "" a shell, on the session's terminal.
func (s *session) terminal(command string) int {
	vm := s.conn.vm
	if fn := vm.execFunc(); fn != nil {
		if handled, status := fn(command, s.channel, s.channel, s.channel.Stderr()); handled {
			return status
		}
	}
	m, err := vm.machine()
	if err != nil {
		return 255
	}
	return m.Terminal(s.ctx, s.channel, box.Session{Command: command, Env: s.env, TTY: s.tty})
}
