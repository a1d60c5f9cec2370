package outage

import (
	"context"

	"github.com/vers-fleet/vers-fleet/fleet/api"
)

// OtherBase is the other one of the two base URLs that are published (in the
// report of the outage and in the official clients), "" if the one in use is
// neither of them.
func (a *API) OtherBase() string {
	const report, clients = "https://api.vers.ai", "https://api.vers.sh/api/v1"
	switch canonical(a.o.Config.BaseURL) {
	case report:
		return clients
	case clients:
		return report
	}
	return ""
}

// AnswersAt asks another base URL once, briefly, with the API key in use. Nothing
// of it is recorded.
func (a *API) AnswersAt(ctx context.Context, base string) bool {
	if a.Forbidden(AsAsked) {
		return false
	}
	config := a.o.Config
	config.BaseURL = base
	client, err := api.New(config)
	if err != nil {
		return false
	}
	ctx, stop := context.WithTimeout(ctx, a.Brief())
	defer stop()
	_, err = client.VMs(ctx)
	return err == nil
}

// wrongBase is the advice where a published base URL may be the wrong one.
func (a *API) wrongBase() string {
	other := a.OtherBase()
	if other == "" {
		return ""
	}
	return "if the API is at the other published URL: vers-fleet config set api_url " + other
}
