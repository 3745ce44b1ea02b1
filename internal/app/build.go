package app

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"attache/internal/config"
	"attache/proxy"
	"attache/recipe"
	"attache/refresher"
)

// tokens are the pools of all credentials' tokens by their names.
type tokens map[tokenName]*refresher.Pool

type tokenName struct{ credential, token string }

// addTokens defines every token of every credential. Credentials come in an
// order in which parents are there before their children.
func addTokens(change *refresher.Change, cfg *config.Config, userAgent string, log *slog.Logger) (tokens, error) {
	pools := tokens{}
	for _, c := range cfg.Credentials {
		transport := loginTransport(c)
		for _, t := range c.Program.Tokens() {
			policy := t.Policy
			policy.HoldsOnOutage = holds(cfg.Store, policy)
			source := t.Source(transport, userAgent)
			source.Warn = func(text string) {
				log.Warn(text, "credential", c.Name, "token", t.Name)
			}
			d := refresher.Definition{
				Credential: c.Name, Token: t.Name, Recipe: c.Program.Recipe().Name,
				Key: t.Key, Params: t.Params, Source: source, Policy: policy, Limits: c.Limits, Local: t.Local(),
			}
			if t.Revokes() && isAlone(cfg, c.Name) {
				d.Revoker = source
			}
			for _, parent := range t.Parents {
				d.Parents = append(d.Parents, refresher.Parent{
					Pool:   pools[tokenName{parent.Credential.Name(), parent.Token}],
					Params: parent.Params,
				})
			}
			pool, err := change.Add(d)
			if err != nil {
				return nil, err
			}
			pools[tokenName{c.Name, t.Name}] = pool
		}
	}
	return pools, nil
}

// isAlone reports whether nobody but this process has the tokens of a credential,
// so that it may end them: none is in a store, and none is handed out.
func isAlone(cfg *config.Config, credential string) bool {
	return cfg.Store.Kind == config.StoreMemory && (cfg.Handout == nil || !slices.Contains(cfg.Handout.Credentials, credential))
}

// slots returns the pools of the tokens that a route uses, parallel to its
// plan's.
func (pools tokens) slots(plan *recipe.Plan) []proxy.Slot {
	var slots []proxy.Slot
	for _, s := range plan.Slots() {
		name := tokenName{s.Credential.Name(), s.Token}
		slots = append(slots, proxy.Slot{Credential: name.credential, Token: name.token, Pool: pools[name], Params: s.Params})
	}
	return slots
}

// retry has the failed logins of a credential tried again.
func (pools tokens) retry(c *config.Credential) {
	for _, t := range c.Program.Tokens() {
		pools[tokenName{c.Name, t.Name}].Retry()
	}
}

// handout returns the tokens that the configuration hands out.
func (pools tokens) handout(cfg *config.Config) []proxy.HandoutToken {
	var list []proxy.HandoutToken
	for _, c := range cfg.Credentials {
		if !slices.Contains(cfg.Handout.Credentials, c.Name) {
			continue
		}
		for _, t := range c.Program.Tokens() {
			list = append(list, proxy.HandoutToken{
				Credential: c.Name, Token: t.Name, Pool: pools[tokenName{c.Name, t.Name}], Params: t.RequestParams,
			})
		}
	}
	return list
}

// loginTransport returns what logs in for a credential. It follows no redirect,
// as no [http.RoundTripper] does. It speaks HTTP/1.1 alone: over HTTP/2 a server
// that resets streams makes net/http send a request again and again, and a
// login must be sent once.
func loginTransport(c config.Credential) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               c.Proxy.Func(),
		TLSClientConfig:     c.TLS.ClientConfig(),
		Protocols:           protocols,
		TLSHandshakeTimeout: 10 * time.Second,
		// A login is rare, and a connection that the vendor has closed meanwhile
		// would make net/http repeat a GET.
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// guardOf returns the guard of a listener for requests. A route's host is a name
// that the user chose, so it may be asked for. Nil: no browser reaches a socket, so no
// page has to be kept away.
func guardOf(l config.Listener, routes []config.Route) *proxy.Guard {
	if l.Unix != nil {
		return nil
	}
	guard := &proxy.Guard{Loopback: l.Loopback, Hosts: slices.Clone(l.Hosts), Origins: l.Origins}
	for _, r := range routes {
		if r.Host != "" {
			guard.Hosts = append(guard.Hosts, r.Host)
		}
	}
	return guard
}
