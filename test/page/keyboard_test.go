package page

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused describes what has the focus, and whether that can be seen.
const focused = `(() => {
  const node = document.activeElement, sign = node.matches('[type=radio]') ? node.nextElementSibling : node, style = getComputedStyle(sign);
  const box = sign.getBoundingClientRect();
  return {
    what: node === document.body ? 'BODY' : (node.getAttribute('aria-label') || node.textContent || node.value).trim() || node.tagName,
    seen: style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2 && style.outlineColor === getComputedStyle(document.querySelector('nav a')).color
      && box.width > 0 && box.bottom > 0 && box.top < innerHeight,
  };
})()`

type focus struct {
	What string `json:"what"`
	Seen bool   `json:"seen"`
}

// Tab leads through everything that can be done, in the order in which it is
// shown, and each stop can be seen.
func TestTabReachesEverything(t *testing.T) {
	for _, width := range []int64{1280, 360} {
		f := serve(t, failing(), happened()...)
		b := open(t, f.URL, look{width: width, height: 800})
		b.until(`document.querySelector('.event')`)
		var stops []string
		for range 30 {
			b.do(chromedp.KeyEvent(kb.Tab))
			at := eval[focus](b, focused)
			if at.What == "BODY" || len(stops) > 0 && at.What == stops[0] {
				break
			}
			if !at.Seen {
				t.Errorf("width %d: the focus on %q cannot be seen", width, at.What)
			}
			stops = append(stops, at.What)
		}
		want := []string{"Skip to the tokens", "all", "Filter tokens, routes and events by text", "Tokens", "Routes", "Events",
			"Renew now: aicc.access", "Renew now: qiniu.access", "Renew now: openim.user", "Renew now: wechat.channel", "Latest events, newest first"}
		if !slices.Equal(stops, want) {
			t.Errorf("width %d: Tab leads through\n%q, want\n%q", width, stops, want)
		}
	}
}

func TestKeysWork(t *testing.T) {
	f := serve(t, failing(), happened()...)
	b := open(t, f.URL, look{height: 500, width: 1280})
	press := func(keys ...string) {
		for _, key := range keys {
			b.do(chromedp.KeyEvent(key))
		}
	}
	press(kb.Tab, kb.Enter) // skip
	if at := eval[string](b, `document.activeElement.id`); at != "tokens" {
		t.Errorf("the skip link leads to %q", at)
	}
	press(kb.Tab)
	if at := eval[focus](b, focused); at.What != "Renew now: aicc.access" {
		t.Errorf("after the skip link Tab leads to %q", at.What)
	}
	for i, key := range []string{kb.Enter, " "} {
		press(key)
		b.until(`document.activeElement.textContent === 'Renewing …'`)
		f.change(func(d *document) { d.Tokens[0].Generation++ })
		b.until(`document.activeElement.textContent === 'Renew now' && document.querySelector('#said').textContent.includes('is renewed')`)
		f.mu.Lock()
		if got := strings.Join(f.renewed, " "); got != strings.TrimSpace(strings.Repeat("credential=aicc&token=access ", i+1)) {
			t.Errorf("asked for %q", got)
		}
		f.mu.Unlock()
	}
	eval[any](b, `document.querySelector('[name=show]').focus(), null`)
	press(kb.ArrowRight)
	b.until(`document.querySelectorAll('.token:not([hidden])').length === 2`)
	press(kb.Tab, "q", "i", "n")
	b.until(`document.querySelectorAll('.token:not([hidden])').length === 1`)
	press(kb.Enter) // submits nothing
	if at := eval[string](b, `location.href`); at != f.URL+"/#tokens" {
		t.Errorf("Enter in the filter leads to %s", at)
	}
	b.quiet()
}

// A row that moves up keeps the focus that is in it.
func TestFocusStaysWhenRowsMove(t *testing.T) {
	f := serve(t, well())
	b := open(t, f.URL, look{})
	eval[any](b, `[...document.querySelectorAll('.token button')].at(-1).focus(), null`)
	f.change(func(d *document) { d.Tokens[4] = blocked().Tokens[4] })
	b.until(`document.querySelector('.token h3').textContent === 'wechat.channel'`)
	if at := eval[focus](b, focused); at.What != "Renew now: wechat.channel" {
		t.Errorf("the focus went to %q", at.What)
	}
}

// What screen readers are told: everything that can be done and every life line has
// a name, and what the page consists of can be jumped to.
func TestNamesForScreenReaders(t *testing.T) {
	f := serve(t, everything(), everyEvent()...)
	b := open(t, f.URL, look{})
	b.until(`document.querySelectorAll('.event').length === 16`)
	tree := get(b, func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		if _, err := cdp.Call(ctx, target, accessibility.Enable, cdp.Empty{}); err != nil {
			return accessibility.GetFullAXTreeResult{}, err
		}
		return cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	names := map[string][]string{}
	for _, node := range tree.Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		role, name := text(node.Role), text(node.Name)
		names[role] = append(names[role], name)
		switch role {
		case "button", "link", "radio", "searchbox", "textbox", "image", "img", "table", "region", "group", "radiogroup", "search", "navigation", "heading":
			if strings.TrimSpace(name) == "" {
				t.Errorf("a %s has no name", role)
			}
		}
	}
	for role, want := range map[string][]string{
		"banner": {""}, "main": {""}, "navigation": {"Sections"}, "search": {"Filter"}, "status": {""}, "table": {"Routes"},
		"region":       {"Tokens", "Routes", "Events", "Latest events, newest first"},
		"radio":        {"All 9", "Needs attention 5"},
		"searchbox":    {"Filter tokens, routes and events by text"},
		"link":         {"Skip to the tokens", "Tokens", "Routes", "Events"},
		"columnheader": {"Route", "Credentials", "Requests/s", "Median", "95\u00a0%", "Errors", "Replays", "No token"},
	} {
		if got := names[role]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", role, got, want)
		}
	}
	for role, least := range map[string]int{"list": 6, "listitem": 40, "row": 5, "cell": 32, "term": 15, "definition": 15, "time": 16} {
		if got := len(names[role]); got < least {
			t.Errorf("there are only %d of role %s, want %d at least", got, role, least)
		}
	}
	buttons, lines := names["button"], slices.DeleteFunc(slices.Clone(names["group"]), func(s string) bool { return !strings.HasPrefix(s, "Life of ") })
	if len(buttons) != 8 || !slices.Contains(buttons, "Renew now: openim.user") {
		t.Errorf("buttons: %q", buttons)
	}
	if len(lines) != 8 || !slices.Contains(lines, "Life of openim.user: no token yet, 3 refusals, 1 renewal, 2 failed logins") ||
		!slices.Contains(lines, "Life of aicc.access: issued 13:31:40, renewal due 14:24:40, expires 14:31:40") {
		t.Errorf("life lines: %q", lines)
	}
	images := append(names["image"], names["img"]...)
	for _, want := range []string{"Login failed, 14:02:31", "Refused too often, kept, 14:02:34", "Taken from the store, 14:02:27", "Tokens of users of aicc.messaging: 5 fresh, 4 due, 3 empty, 2 expired, 1 blocked"} {
		if !slices.Contains(images, want) {
			t.Errorf("no image is called %q among %q", want, images)
		}
	}
	if ids := eval[[]string](b, `[...document.querySelectorAll('[id]')].map((x) => x.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(ids) > 0 {
		t.Errorf("ids occur twice: %q", ids)
	}
	if levels := eval[string](b, `[...document.querySelectorAll('h1,h2,h3')].map((x) => x.tagName[1]).join('')`); levels != "1233333333322" {
		t.Errorf("the levels of headings are %s", levels)
	}
	if live := eval[int](b, `document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]').length`); live != 1 {
		t.Errorf("%d places are read out as they change, want 1", live)
	}
}

// text is a value of the accessibility tree.
func text(v *accessibility.Value) string {
	var s string
	if v != nil {
		json.Unmarshal(v.Value, &s) // what is no text is none of ours
	}
	return s
}
