package page

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds what one test may take. Nothing is measured by it.
const patience = 30 * time.Second

// browser is the one Chromium of all tests; each has a window and a profile of
// its own in it.
var browser context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	path, err := findChromium()
	if err != nil {
		return m.Run() // open skips
	}
	profile, err := os.MkdirTemp("", "attache-page-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(profile)
	ctx, closeBrowser, err := startBrowser(path, profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start Chromium:", err)
		return 1
	}
	defer closeBrowser()
	browser = ctx
	return m.Run()
}

// startBrowser starts Chromium. What it returns ends it, by asking it to, and waits
// for its process.
func startBrowser(path, profile string) (context.Context, func(), error) {
	alloc, end := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Env(fonts(profile)...),
		// Nothing but loopback is reached, whatever a page or the browser asks for.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-lcd-text", true))...)
	ctx, cancel := chromedp.NewContext(alloc)
	started := make(chan error, 1)
	go func() { started <- chromedp.Do(ctx) }()
	select {
	case err := <-started:
		if err != nil {
			end()
		}
		return ctx, func() {
			bound, done := context.WithTimeout(ctx, patience)
			defer done()
			if err := chromedp.Cancel(bound); err != nil {
				fmt.Fprintln(os.Stderr, "end Chromium:", err)
			}
			end()
		}, err
	case <-time.After(patience):
		cancel()
		end()
		return nil, nil, errors.New("it does not answer")
	}
}

func findChromium() (string, error) {
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		var path string
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// look says how a page is looked at.
type look struct {
	dark          bool
	width, height int64  // 1280 × 800 if 0
	realTime      bool   // the browser's clock goes on, and the page asks as often as it does
	script        string // runs before the page's own
}

// tab is a page that is open in the browser, and what was seen of it.
type tab struct {
	t     *testing.T
	ctx   context.Context
	abort context.CancelFunc // ends ctx: an exception leaves nothing to wait for

	mu       sync.Mutex
	requests []string // URLs
	problems []string // what the browser complained about
}

// open opens the page of a server and waits until it shows tokens.
func open(t *testing.T, url string, l look) *tab {
	t.Helper()
	if browser == nil {
		t.Skip("missing tool: chromium")
	}
	if l.width == 0 {
		l.width, l.height = 1280, 800
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	script := l.script
	if !l.realTime {
		script = fmt.Sprintf("Date.now = () => %d; {const start = setTimeout; window.setTimeout = (f, ms) => start(f, ms === 2000 ? 100 : ms);}\n", moment.UnixMilli()) + script
	}
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	b.do() // opens the window
	b.ctx, b.abort = context.WithTimeout(ctx, patience)
	t.Cleanup(b.abort)
	b.do(
		command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}),
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 500}),
		command(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}),
		command(cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script}),
		chromedp.Navigate(url),
	)
	b.until(`document.querySelector('#token-list > li, #no-tokens:not([hidden])')`)
	return b
}

// command runs a command of the protocol whose answer does not matter.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, params)
		return err
	})
}

func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, ev.Request.URL)
	case *log.EventEntryAdded:
		b.problems = append(b.problems, fmt.Sprintf("%s: %s: %s (%s)", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, exception(ev.ExceptionDetails))
		b.abort()
	case *runtime.EventConsoleAPICalled:
		var args []string
		for _, a := range ev.Args {
			args = append(args, string(a.Value)+a.Description)
		}
		b.problems = append(b.problems, "console."+ev.Type.String()+": "+strings.Join(args, " "))
	}
}

// complaints returns what the browser complained about so far.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.problems...)
}

// quiet fails the test if the browser complained.
func (b *tab) quiet() {
	b.t.Helper()
	for _, p := range b.complaints() {
		b.t.Errorf("the browser complains: %s", p)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\nthe browser complained: %q", err, b.complaints())
	}
}

// get runs an action and returns its value.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("%v\nthe browser complained: %q", err, b.complaints())
	}
	return v
}

// eval returns what an expression of JavaScript gives.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits until an expression of JavaScript holds.
func (b *tab) until(expression string) {
	b.t.Helper()
	wait := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0))
	if err := chromedp.Do(b.ctx, wait); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
		defer cancel()
		body, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 3000)`))
		b.t.Fatalf("wait for %s: %v\nthe browser complained: %q\nthe page:\n%s", expression, err, b.complaints(), body)
	}
}

func exception(d *runtime.ExceptionDetails) string {
	text := d.Text
	if d.Exception != nil {
		text += ": " + d.Exception.Description
	}
	return fmt.Sprintf("%s (line %d)", text, d.LineNumber+1)
}
