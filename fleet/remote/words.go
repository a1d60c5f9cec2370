package remote

import (
	"github.com/vers-fleet/vers-fleet/fleet/lieutenant"
	"github.com/vers-fleet/vers-fleet/fleet/sshconn"
	"github.com/vers-fleet/vers-fleet/fleet/transfer"
)

// What callers of this room say in the words of the leaves below it, so that
// they need import none of those.
type (
	// PullOptions say what a pull fetches and how.
	PullOptions = transfer.PullOptions
	// PushOptions say what a push sends and how.
	PushOptions = transfer.PushOptions
	// TransferEvent is one step of a pull or push.
	TransferEvent = transfer.Event
	// RunOptions say how a shell or command runs.
	RunOptions = sshconn.RunOptions
	// ForwardSpec is one forwarded address.
	ForwardSpec = sshconn.ForwardSpec
	// ForwardKind is -L, -R or -D.
	ForwardKind = sshconn.ForwardKind
	// Message is what a lieutenant is told.
	Message = lieutenant.Message
	// Phase is what a lieutenant does.
	Phase = lieutenant.Phase
	// OutputEvent is a piece of what a lieutenant says.
	OutputEvent = lieutenant.Event
)

// The kinds of a TransferEvent that callers tell apart.
const (
	EventRetry    = transfer.EventRetry
	EventProgress = transfer.EventProgress
	EventFile     = transfer.EventFile
	EventDeleted  = transfer.EventDeleted
)

// The types of an item that callers tell apart.
const (
	TypeFile = transfer.TypeFile
	TypeDir  = transfer.TypeDir
)

// The kinds of an OutputEvent.
const (
	OutputText  = lieutenant.KindText
	OutputEnd   = lieutenant.KindEnd
	OutputReset = lieutenant.KindReset
)

// The types of a Message.
const (
	Prompt   = lieutenant.Prompt
	Steer    = lieutenant.Steer
	FollowUp = lieutenant.FollowUp
	Abort    = lieutenant.Abort
)

// The phases of an Activity that callers tell apart.
const (
	PhaseWorking  = lieutenant.PhaseWorking
	PhaseIdle     = lieutenant.PhaseIdle
	PhaseRetrying = lieutenant.PhaseRetrying
	PhaseWaiting  = lieutenant.PhaseWaiting
	PhaseSilent   = lieutenant.PhaseSilent
	PhaseNone     = lieutenant.PhaseNone
	PhaseStopped  = lieutenant.PhaseStopped
	PhaseFailed   = lieutenant.PhaseFailed
	PhaseCrashed  = lieutenant.PhaseCrashed
)

// How a shell or command gets a terminal, and the kinds of forwards.
const (
	TTYNever       = sshconn.TTYNever
	TTYForce       = sshconn.TTYForce
	TTYRequest     = sshconn.TTYRequest
	NoEscape       = sshconn.NoEscape
	ForwardLocal   = sshconn.ForwardLocal
	ForwardRemote  = sshconn.ForwardRemote
	ForwardDynamic = sshconn.ForwardDynamic
)

// ParseForward reads what -L, -R and -D take.
func ParseForward(kind ForwardKind, text string) (ForwardSpec, error) {
	return sshconn.ParseForward(kind, text)
}

// LocaleEnv is the part of an environment that OpenSSH sends by default.
func LocaleEnv(environ []string) map[string]string { return sshconn.LocaleEnv(environ) }

// IsTerminal reports whether x is a file that is a terminal.
func IsTerminal(x any) bool { return sshconn.IsTerminal(x) }
