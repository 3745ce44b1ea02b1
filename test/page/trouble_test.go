package page

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Nothing sticks out of a phone's screen, whatever is shown on it.
func TestNarrowScreens(t *testing.T) {
	for name, status := range map[string]document{"everything": everything(), "hostile": hostile()} {
		for _, width := range []int64{360, 520, 833, 1100, 1281, 1408, 1600} {
			t.Run(fmt.Sprintf("%s/%d", name, width), func(t *testing.T) {
				b := open(t, serve(t, status, append(everyEvent(), hostileEvents()...)...).URL, look{width: width, height: 800})
				b.until(`document.querySelectorAll('.event').length > 16`)
				// Rows off the screen are laid out for this, too.
				eval[any](b, `document.querySelectorAll('.token, .event').forEach((x) => { x.style.contentVisibility = 'visible'; }), null`)
				wide := eval[[]string](b, `[...document.querySelectorAll('body *')]
					.filter((x) => !x.closest('.skip, svg, thead, #said') && x.getBoundingClientRect().right > innerWidth + 1)
					.map((x) => x.tagName + '.' + x.className + ' ' + x.textContent.slice(0, 40))`)
				if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 || len(wide) > 0 {
					t.Errorf("the page is %d pixels wider than the screen; what sticks out: %.10q", over, wide)
				}
				inside := eval[[]string](b, `[...document.querySelectorAll('.panel, .token, .error, .event')]
					.filter((x) => x.scrollWidth > x.clientWidth + 1 && x.clientWidth > 0).map((x) => x.className + ' ' + x.textContent.slice(0, 40))`)
				if len(inside) > 0 {
					t.Errorf("something is cut off in %.5q", inside)
				}
			})
		}
	}
}

const script = `<script>window.ran = true</script><img src=x onerror="window.ran = true"><style>*{display:none}</style>`

// hostile has texts as somebody would choose them who wants to break the page.
func hostile() document {
	d := failing()
	d.Version = script
	d.Config.File = "/etc/" + strings.Repeat("x", 2000)
	d.Config.LastReload = &reload{At: ago(time.Minute), Error: script + strings.Repeat("long ", 400) + strings.Repeat("y", 2000)}
	for i, name := range []string{script, strings.Repeat("n", 2000), "\u202eevil\u2066\u202e", "مرحبا בעולם", "__proto__"} {
		d.Tokens[i].Credential = name
		d.Tokens[i].Recipe = name
		if e := d.Tokens[i].LastError; e != nil {
			e.Text, e.Advice = script+strings.Repeat("e", 2000), "\u202e"+script
		}
	}
	for i, name := range []string{script, strings.Repeat("r", 2000), "\u202egnp.live", "constructor"} {
		d.Routes[i].Name, d.Routes[i].Host, d.Routes[i].Path, d.Routes[i].Upstream, d.Routes[i].Credentials = name, name, "/"+name, "https://"+name, []string{name, name}
	}
	return d
}

func hostileEvents() []event {
	return []event{
		{"id": 20, "at": ago(9e9), "kind": "login_failed", "credential": script, "token": "token", "class": script, "error": script + strings.Repeat("z", 2000), "failures": 1},
		{"id": 21, "at": ago(8e9), "kind": "constructor", "credential": strings.Repeat("c", 2000), "token": "\u202e"},
		{"id": 22, "at": "no time", "kind": "__proto__"},
		{"id": 23, "at": ago(7e9), "kind": script, "by": script},
	}
}

// Whatever attache passes on is shown as it is, and does nothing.
func TestHostileTexts(t *testing.T) {
	f := serve(t, hostile(), hostileEvents()...)
	b := open(t, f.URL, look{})
	b.until(`document.querySelectorAll('.event').length === 4`)
	f.questions(b, 2)
	if eval[bool](b, `'ran' in window || document.querySelectorAll('script, style, img').length !== 2`) {
		t.Error("a text became an element")
	}
	text := eval[string](b, `document.body.textContent`)
	for _, want := range []string{script + ".access", "https://" + script, strings.Repeat("n", 2000), script + strings.Repeat("z", 2000), "__proto__"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %.80q", want)
		}
	}
	// A text that turns the direction of writing does not turn what stands beside it.
	if loose := eval[[]string](b, `[...document.querySelectorAll('h3, .meta, q, .error p, td b, td small, .event span, #facts dd, .notice')]
		.filter((x) => x.dir !== 'auto' && getComputedStyle(x).unicodeBidi !== 'isolate' && !x.closest('[dir=auto]') && x.textContent).map((x) => x.outerHTML.slice(0, 80))`); len(loose) > 0 {
		t.Errorf("texts that may turn the direction of others: %q", loose)
	}
	b.quiet()
}

// When attache cannot be reached the page says so and how old its data are, and
// goes on by itself when it can.
func TestLostConnection(t *testing.T) {
	f := serve(t, well(), happened()...)
	b := open(t, f.URL, look{realTime: true})
	b.until(`document.querySelector('#stream').textContent === 'Live'`)
	f.cut(true)
	b.until(`document.body.hasAttribute('data-lost')`)
	b.until(`/What you see is \d+ s old/.test(document.querySelector('#notices').textContent)`)
	b.until(`document.querySelector('#said').textContent === 'attache does not answer.' && document.querySelector('#stream').textContent !== 'Live'`)
	if got := eval[int](b, `document.querySelectorAll('.token').length`); got != 5 {
		t.Errorf("%d tokens are shown, want the 5 of before", got)
	}
	f.change(func(d *document) { d.Tokens[0].Generation = 77 })
	f.cut(false)
	b.until(`!document.body.hasAttribute('data-lost') && !document.querySelector('.notice') && document.querySelector('#stream').textContent === 'Live'`)
	b.until(`document.querySelector('#said').textContent === 'attache answers again.' && document.querySelector('.meta').textContent.includes('generation 77')`)
	f.send(event{"id": 11, "at": moment, "kind": "reloaded"})
	b.until(`document.querySelector('.event').textContent.includes('onfiguration reloaded')`)
	if got := eval[int](b, `document.querySelectorAll('.event').length`); got != 11 {
		t.Errorf("%d events are shown, want 11: those of before once", got)
	}
}

// A stream that is refused, as the seventeenth is, is asked for again.
func TestStreamThatIsRefused(t *testing.T) {
	f := serve(t, well())
	f.full = true
	b := open(t, f.URL, look{})
	b.until(`document.querySelector('#stream').textContent.startsWith('Not live')`)
	f.mu.Lock()
	f.full = false
	f.mu.Unlock()
	b.until(`document.querySelector('#stream').textContent === 'Live'`)
}

// What is no status is as none, and the page goes on when there is one.
func TestStatusThatIsNoStatus(t *testing.T) {
	f := serve(t, well())
	b := open(t, f.URL, look{})
	for _, answer := range []string{`not JSON`, `{"tokens": [`} {
		f.instead(answer)
		b.until(`document.body.hasAttribute('data-lost')`)
		f.instead("")
		b.until(`!document.body.hasAttribute('data-lost')`)
	}
}

// What came of "Renew now" is told in words.
func TestRenewTells(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		then   func(*document)
		want   string
	}{
		"it works":   {nil, func(d *document) { d.Tokens[0].Generation++ }, "aicc.access is renewed: generation 10."},
		"same token": {nil, func(d *document) { d.Tokens[0].LastSuccess = moment }, "aicc.access is renewed: generation 9."},
		"it fails": {nil, func(d *document) {
			d.Tokens[0].Failures, d.Tokens[0].LastError = 1, &failure{"transient", "login answered 502", ""}
		}, "aicc.access: the login failed. login answered 502"},
		"it is forbidden": {func(w http.ResponseWriter) { http.Error(w, "only from this machine", http.StatusForbidden) }, nil,
			"aicc.access: not renewed. only from this machine"},
		"nothing is said": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }, nil, "aicc.access: not renewed. The answer was 429."},
		"it is away":      {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, nil, "aicc.access: not renewed. attache does not answer."},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, well())
			if tt.answer != nil {
				f.answer = tt.answer
			}
			b := open(t, f.URL, look{})
			eval[any](b, `document.querySelector('.token button').click(), null`)
			if tt.then != nil {
				b.until(`document.querySelector('.token button').getAttribute('aria-disabled') === 'true' && document.querySelector('#said').textContent.includes('has begun')`)
				eval[any](b, `document.querySelector('.token button').click(), null`) // asks for nothing more
				f.change(tt.then)
			}
			b.until(fmt.Sprintf(`document.querySelector('#said').textContent === %q`, tt.want))
			b.until(`document.querySelector('.token button').textContent === 'Renew now'`)
			f.mu.Lock()
			defer f.mu.Unlock()
			// The browser itself repeats what a dead connection swallowed.
			if f.renewed[0] != "credential=aicc&token=access" || len(f.renewed) != 1 && name != "it is away" {
				t.Errorf("asked for %q", f.renewed)
			}
		})
	}
}

// There is no button where there is nothing to ask for.
func TestRenewOnlyWhereItIsPossible(t *testing.T) {
	f := serve(t, well())
	b := open(t, f.URL, look{})
	if got := eval[int](b, `document.querySelectorAll('button:not([hidden])').length`); got != 4 {
		t.Errorf("%d buttons, want one for each of the 4 tokens that are not of users", got)
	}
	f.change(func(d *document) { d.Renew = false })
	b.until(`document.querySelectorAll('button:not([hidden])').length === 0`)
}
