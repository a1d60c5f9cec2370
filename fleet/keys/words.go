package keys

import "github.com/vers-fleet/vers-fleet/keystore"

// What callers of this room say in the words of the keystore, so that they need
// not import it.
type (
	// StoreOptions say how a keystore is opened.
	StoreOptions = keystore.Options
	// ExportOptions say to whom a bundle is encrypted.
	ExportOptions = keystore.ExportOptions
	// EncryptOptions say who opens the keystore.
	EncryptOptions = keystore.EncryptOptions
	// PlanItem is one thing that an import does.
	PlanItem = keystore.PlanItem
)

// What callers tell apart.
const (
	ActionAdd     = keystore.ActionAdd
	ActionRefuse  = keystore.ActionRefuse
	SeverityError = keystore.SeverityError
)
