package app

import (
	"log/slog"
	"net/http"
	"slices"

	"attache/internal/config"
	"attache/internal/handout"
	"attache/proxy"
)

// handOut opens the listener that hands out tokens, if there is to be one.
func (a *App) handOut(cfg *config.Config, pools tokens) error {
	if cfg.Handout == nil {
		return nil
	}
	var list []handout.Token
	for _, c := range cfg.Credentials {
		if !slices.Contains(cfg.Handout.Credentials, c.Name) {
			continue
		}
		for _, t := range c.Program.Tokens() {
			one := handout.Token{Credential: c.Name, Name: t.Name, Pool: pools[tokenName{c.Name, t.Name}]}
			if len(t.Params) > 0 {
				one.Params = t.ReadParams
			}
			list = append(list, one)
		}
	}
	h := a.askCallers(cfg.Handout.Listener, handout.New(handout.Config{Tokens: list, Log: a.log, Who: who}))
	if cfg.Handout.Unix == nil {
		h = proxy.Guard{Loopback: cfg.Handout.Loopback}.Wrap(h)
	}
	return a.open(&a.data, "handout", cfg.Handout.Listener, h)
}

// who returns who asks, for logs.
func who(r *http.Request) []slog.Attr {
	var attrs []slog.Attr
	if name := proxy.CallerName(r.Context()); name != "" {
		attrs = append(attrs, slog.String("caller", name))
	}
	if p, ok := proxy.PeerOf(r.Context()); ok {
		return append(attrs, slog.Uint64("uid", uint64(p.UID)), slog.Int("pid", int(p.PID)))
	}
	return append(attrs, slog.String("remote", r.RemoteAddr))
}

// HandoutAddr returns the address of the hand-out, or the path of its socket;
// "" if there is none.
func (a *App) HandoutAddr() string {
	for _, s := range a.data {
		if s.what == "handout" {
			return s.listener.Addr().String()
		}
	}
	return ""
}
