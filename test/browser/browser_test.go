// Package browser_test looks at the status page in Debian's Chromium.
package browser_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is a Chromium with one tab.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex // guards faults
	faults []string   // what the console has to complain about
}

// patience bounds each test. A browser on a busy machine takes its time.
const patience = 2 * time.Minute

func open(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not there")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Headless,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars"} {
		flags = append(flags, chromedp.Flag(flag, true))
	}
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: ctx}
	call(b, log.Enable, cdp.Empty{})
	call(b, cdpruntime.Enable, cdp.Empty{})
	var heeding sync.WaitGroup
	heed(b, &heeding, cdpruntime.ExceptionThrown, func(e cdpruntime.EventExceptionThrown) string { return e.ExceptionDetails.Text })
	heed(b, &heeding, log.EntryAdded, func(e log.EventEntryAdded) string {
		if e.Entry.Level != log.EntryLevelError && e.Entry.Level != log.EntryLevelWarning {
			return ""
		}
		return e.Entry.Text + " " + e.Entry.URL
	})
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		heeding.Wait()
	})
	return b
}

// heed notes what an event has to complain about; "" = nothing.
func heed[E any](b *browser, wg *sync.WaitGroup, of cdp.Event[E], fault func(E) string) {
	events := chromedp.Events(b.ctx, of)
	wg.Go(func() {
		for e, err := range events {
			if err != nil {
				return // the browser is closed
			}
			if text := fault(e); text != "" {
				b.mu.Lock()
				b.faults = append(b.faults, text)
				b.mu.Unlock()
			}
		}
	})
}

// call sends the browser a command.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, tab *chromedp.Target) (R, error) { return cdp.Call(ctx, tab, command, params) })
	require.NoError(b.t, err)
}

func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// visit opens a page and waits until it is there.
func (b *browser) visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#state .verdict")))
}

// eval returns what a script says.
func eval[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	require.NoError(b.t, err)
	return v
}

func (b *browser) script(text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](text))
}

// until waits for a script to say something that is true.
func (b *browser) until(script string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[chromedp.Void](script,
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience/2)))
	require.NoError(b.t, err, script)
}

const verdict = `document.querySelector("header .verdict").textContent`

// look is a way to look at the page.
type look struct {
	scheme string
	width  int64
}

var looks = []look{{"light", 1280}, {"dark", 1280}, {"light", 360}, {"dark", 360}}

func (l look) name() string {
	if l.width < 500 {
		return l.scheme + "-narrow"
	}
	return l.scheme + "-wide"
}

func (b *browser) use(l look) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: 900, DeviceScaleFactor: 1})
}

// shoot keeps a picture, if HOLDFAST_SHOTS names a folder for them.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("HOLDFAST_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// violation is what axe finds wrong.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// accessible has axe-core look at the page.
func (b *browser) accessible(axe string) {
	b.t.Helper()
	// Through the debugger: the page's Content-Security-Policy would not let it in.
	b.script(axe)
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]violation](`axe.run().then(r => r.violations)`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	text, err := json.MarshalIndent(found, "", "  ")
	require.NoError(b.t, err)
	require.Empty(b.t, found, string(text))
}

// axe returns the source of axe-core's source, which make browser installs.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../.cache/browser/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core is not there: run make browser")
	}
	return string(source)
}
