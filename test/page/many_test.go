package page

import (
	"fmt"
	"testing"
)

// An answer that says nothing new changes nothing in the document.
func TestNothingIsDrawnTwice(t *testing.T) {
	f := serve(t, everything(), everyEvent()...)
	b := open(t, f.URL, look{})
	b.until(`document.querySelectorAll('.event').length === 16`)
	f.questions(b, 2) // the second answer has rates
	eval[any](b, `window.changes = [], new MutationObserver((list) => changes.push(...list.map((m) => m.type + ' ' + m.attributeName + ' ' + m.target.outerHTML)))
		.observe(document.documentElement, {subtree: true, childList: true, attributes: true, characterData: true}), null`)
	f.questions(b, 3)
	if got := eval[[]string](b, `changes`); len(got) > 0 {
		t.Errorf("%d changes, such as %.200s", len(got), got[0])
	}
	f.change(func(d *document) { d.Tokens[0].Generation++ })
	b.until(`changes.length > 0`)
	if got := eval[int](b, `changes.length`); got > 3 {
		t.Errorf("%d changes for one new number", got)
	}
}

// A reload may make a token one of each user, and back.
func TestTokenThatBecomesKeyed(t *testing.T) {
	f := serve(t, well())
	b := open(t, f.URL, look{})
	single, keyed := well().Tokens[0], well().Tokens[1]
	for range 2 {
		f.change(func(d *document) {
			d.Tokens[0] = keyed
			d.Tokens[0].Token = "access"
		})
		b.until(`document.querySelectorAll('.share').length === 2 && document.querySelectorAll('.token').length === 5`)
		f.change(func(d *document) { d.Tokens[0] = single })
		b.until(`document.querySelectorAll('.share').length === 1 && document.querySelectorAll('.token').length === 5`)
	}
	b.quiet()
}

// 200 credentials keep their rows, and thousands of events leave no more behind
// than are shown.
func TestManyTokensAndEvents(t *testing.T) {
	f := serve(t, crowd(200))
	b := open(t, f.URL, look{})
	b.until(`document.querySelectorAll('.token').length === 200 && document.querySelector('#stream').textContent === 'Live'`)
	eval[any](b, `document.querySelectorAll('.token').forEach((x) => { x.old = true; }), null`)
	nodes, id := 0, 0
	for round := range 4 {
		f.change(func(d *document) { d.serveMore(100, 20) })
		for range 20 { // as fast as it goes, that is, faster than attache sends
			var some []event
			for range 50 {
				id++
				some = append(some, event{"id": id, "at": moment, "kind": "refused", "credential": fmt.Sprint("c", id), "token": "t", "signal": "body", "by": "r", "outcome": "stale"})
			}
			f.send(some...)
		}
		b.until(fmt.Sprintf(`document.querySelector('.event')?.textContent.includes('c%d.t')`, id))
		f.questions(b, 1)
		if got := eval[int](b, `document.querySelectorAll('.event').length`); got != 200 {
			t.Errorf("%d events are shown, want 200", got)
		}
		all := eval[int](b, `document.querySelectorAll('*').length`)
		if nodes == 0 {
			nodes = all
		}
		if all > nodes || all > 20000 {
			t.Errorf("round %d: the document has %d elements, after %d in the first", round, all, nodes)
		}
	}
	if got := eval[int](b, `[...document.querySelectorAll('.token')].filter((x) => x.old).length`); got != 200 {
		t.Errorf("%d of 200 rows are those of before", got)
	}
	first := eval[string](b, `document.querySelector('.event b').textContent + ' ' + document.querySelectorAll('.event b')[199].textContent`)
	if want := fmt.Sprintf("c%d.t c%d.t", id, id-199); first != want {
		t.Errorf("the events from new to old are %s, want %s", first, want)
	}
	f.change(func(d *document) { d.Tokens = d.Tokens[:3] })
	b.until(`document.querySelectorAll('.token').length === 3`)
	b.quiet()
}

// However many events come, the document is changed once for each picture of the
// browser.
func TestEventsAreDrawnTogether(t *testing.T) {
	f := serve(t, well())
	b := open(t, f.URL, look{script: `window.held = [];
		window.requestAnimationFrame = (f) => held.push(f);
		window.got = 0;
		window.EventSource = class extends EventSource {
			constructor(url) { super(url); this.addEventListener('message', () => { got++; }); }
		};`})
	b.until(`document.querySelector('#stream').textContent === 'Live'`)
	var some []event
	for id := range 1000 {
		some = append(some, event{"id": id + 1, "at": moment, "kind": "logged_in", "credential": fmt.Sprint("c", id+1), "token": "t", "generation": id})
	}
	f.send(some...)
	b.until(`got === 1000`)
	if got := eval[string](b, `held.length + ' ' + document.querySelectorAll('.event').length`); got != "1 0" {
		t.Errorf("pictures that are asked for, and events that are drawn before the first: %s, want 1 0", got)
	}
	eval[any](b, `held.shift()(), null`)
	if got := eval[string](b, `document.querySelectorAll('.event').length + ' ' + document.querySelector('.event b').textContent`); got != "200 c1000.t" {
		t.Errorf("events that are drawn, and the first of them: %s, want 200 c1000.t", got)
	}
}

// Words and the choice of what needs attention apply to tokens, routes and events.
func TestFilter(t *testing.T) {
	status := failing()
	f := serve(t, status, everyEvent()...)
	b := open(t, f.URL, look{})
	b.until(`document.querySelectorAll('.event').length === 16`)
	shown := `['.token', '#route-list tr', '.event'].map((x) => document.querySelectorAll(x + ':not([hidden])').length).join(' ')`
	set := func(words, show string) string {
		return eval[string](b, fmt.Sprintf(`document.querySelector('#text').value = %q, document.querySelector('[value=%s]').checked = true,
			document.querySelector('#filter').dispatchEvent(new Event('input')), %s`, words, show, shown))
	}
	for _, tt := range []struct{ words, show, want string }{
		{"", "all", "5 4 16"},
		{"", "attention", "2 2 11"}, // the events of aicc and qiniu, and those that are bad
		{"qiniu", "all", "1 1 4"},
		{"QINIU  access", "attention", "1 0 4"},
		{"502", "all", "1 0 1"},
		{"expired", "all", "1 0 0"},
		{"nothing like this", "all", "0 0 0"},
		{"", "all", "5 4 16"},
	} {
		if got := set(tt.words, tt.show); got != tt.want {
			t.Errorf("%q of %s: %s tokens, routes and events are shown, want %s", tt.words, tt.show, got, tt.want)
		}
	}
	set("nothing like this", "all")
	for what, want := range map[string]string{"tokens": "None of 5 tokens passes the filter.", "routes": "None of 4 routes passes the filter.", "events": "None of 16 events passes the filter."} {
		if got := eval[string](b, `document.querySelector('#no-`+what+`').innerText`); got != want {
			t.Errorf("of %s the page says %q", what, got)
		}
	}
	set("qiniu", "all")
	f.send(event{"id": 30, "at": moment, "kind": "reloaded"}, event{"id": 31, "at": moment, "kind": "revoked", "credential": "qiniu", "token": "access"})
	b.until(shown + ` === '1 1 5'`)
	set("", "attention")
	f.change(func(d *document) { *d = well() })
	b.until(shown + ` === '0 0 4'`)
	if got := eval[string](b, `document.querySelector('#no-tokens').innerText`); got != "None of 5 tokens needs attention." {
		t.Errorf("the page says %q", got)
	}
}

// Where nobody looks, nothing is asked.
func TestHiddenPageAsksNothing(t *testing.T) {
	f := serve(t, well())
	b := open(t, f.URL, look{script: `window.planned = new Map();
		const [start, stop] = [setTimeout, clearTimeout];
		window.setTimeout = (f, ms) => { const id = start(() => { planned.delete(id); f(); }, ms); planned.set(id, ms); return id; };
		window.clearTimeout = (id) => { planned.delete(id); stop(id); };
		window.sources = [];
		window.EventSource = class extends EventSource { constructor(url) { super(url); sources.push(this); } };
		let hidden = false;
		Object.defineProperty(document, 'hidden', { get: () => hidden });
		window.hide = (yes) => { hidden = yes; document.dispatchEvent(new Event('visibilitychange')); };`})
	polls := `[...planned.values()].filter((ms) => ms === 2000).length`
	open_ := `sources.filter((s) => s.readyState !== EventSource.CLOSED).length`
	b.until(polls + ` === 1 && ` + open_ + ` === 1`)
	eval[any](b, `hide(true), null`)
	if got := eval[string](b, polls+` + ' ' + `+open_); got != "0 0" {
		t.Errorf("questions that are planned, and streams that are open: %s, want none", got)
	}
	eval[any](b, `hide(false), null`)
	b.until(polls + ` === 1 && ` + open_ + ` === 1`)
}
