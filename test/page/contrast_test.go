package page

import (
	_ "embed"
	"fmt"
	"testing"
	"time"
)

// contrasts measures every text and sign on the page.
//
//go:embed testdata/contrast.js
var contrasts string

type measured struct {
	What  string  `json:"what"`
	Text  bool    `json:"text"`
	Ratio float64 `json:"ratio"`
}

// everything is a status in which all that the page can show occurs.
func everything() document {
	d := blocked()
	d.Health = health{Startup: true, Draining: true}
	for i, other := range []token{failing().Tokens[0], failing().Tokens[3], dueState().Tokens[0]} {
		other.Credential += fmt.Sprint("-", i)
		d.Tokens = append(d.Tokens, other)
	}
	d.Tokens[1].Failures, d.Tokens[1].Phases = 2, map[string]int{"fresh": 5, "due": 4, "empty": 3, "expired": 2, "blocked": 1}
	d.Tokens[2].Marks = append(d.Tokens[2].Marks, mark{ago(15 * time.Second), "renewed", ""}, mark{ago(13 * time.Second), "adopted", ""},
		mark{ago(12 * time.Second), "refused", "stale"}, mark{ago(8 * time.Second), "refused", "renewed"}, mark{ago(6 * time.Second), "refused", "over_budget"})
	d.Tokens = append(d.Tokens, token{Credential: "static", Token: "key", Recipe: "bearer", Phase: "fresh", Generation: 1, Issued: ago(time.Hour), Marks: []mark{}})
	d.Routes[0].Errors, d.Routes[0].Unavailable = 3, 4
	return d
}

func everyEvent() []event {
	return append(happened(),
		event{"id": 11, "at": ago(3 * 60e9), "kind": "login_failed", "credential": "qiniu", "token": "access", "class": "transient", "error": "login answered 502", "failures": 3, "next_attempt": in(52e9)},
		event{"id": 12, "at": ago(2 * 60e9), "kind": "refused", "credential": "wechat", "token": "channel", "signal": "status", "by": "wechat", "outcome": "over_budget"},
		event{"id": 13, "at": ago(1 * 60e9), "kind": "store_failed", "credential": "wechat", "token": "channel", "op": "save", "error": "i/o timeout"},
		event{"id": 14, "at": ago(50e9), "kind": "revoked", "credential": "wechat", "token": "channel"},
		event{"id": 15, "at": ago(40e9), "kind": "reload_failed", "error": "attache.yaml:1:1: no"},
		event{"id": 16, "at": ago(30e9), "kind": "of the future", "credential": "wechat", "token": "channel"})
}

// WCAG 2.2, 1.4.3 and 1.4.11: texts differ from their background by 4.5 at least,
// signs and the edges of controls by 3.
func TestContrast(t *testing.T) {
	for _, l := range []look{{}, {dark: true}, {width: 360, height: 800}, {width: 360, height: 800, dark: true}} {
		t.Run(fmt.Sprintf("dark=%t,width=%d", l.dark, l.width), func(t *testing.T) {
			f := serve(t, everything(), everyEvent()...)
			b := open(t, f.URL, l)
			f.change(func(d *document) { d.serveMore(5); d.Routes[0].Errors++ })
			b.until(`document.querySelectorAll('.event').length === 16 && document.querySelector('.rising')`)
			texts, signs := 0, 0
			for _, m := range eval[[]measured](b, contrasts) {
				least := 3.0
				if m.Text {
					least, texts = 4.5, texts+1
				} else {
					signs++
				}
				if m.Ratio < least {
					t.Errorf("%s: contrast %.2f, want %.1f at least", m.What, m.Ratio, least)
				}
			}
			if texts < 150 || signs < 100 {
				t.Errorf("only %d texts and %d signs were found", texts, signs)
			}
			b.quiet()
		})
	}
}

// Where a thing is told from another by its colour, it is by its form as well.
func TestSignsDifferByForm(t *testing.T) {
	b := open(t, serve(t, well()).URL, look{})
	for _, list := range []string{"shapes", "signs"} {
		forms := eval[map[string]string](b, fmt.Sprintf(`import('/tools.js').then(({%s: all}) => Object.fromEntries(Object.entries(all).map(([k, d]) => [k, String(d)])))`, list))
		of := map[string]string{}
		for kind, form := range forms {
			// A login and a token from the store are a disc and a ring, an old token's
			// refusal is an open triangle: the page fills or strokes the same outline.
			if kind == "adopted" {
				form += " open"
			}
			if other, taken := of[form]; taken && !(kind == "no" || other == "no") {
				t.Errorf("%s: %s has the form of %s", list, kind, other)
			}
			of[form] = kind
		}
		if len(forms) < 7 {
			t.Errorf("%s: only %d forms", list, len(forms))
		}
	}
}
