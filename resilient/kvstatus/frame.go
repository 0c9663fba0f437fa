package kvstatus

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// pageTemplate is never changed.
var pageTemplate = template.Must(template.New("page").Parse(pageText))

// frame is the page at one moment.
type frame struct {
	at      time.Time
	news    uint64
	page    []byte // the document
	message []byte // what a live page is sent: JSON on one line
}

// frameFor is how long a frame is shown to all who ask, if nothing happens that
// has to be shown at once.
const frameFor = 250 * time.Millisecond

// frame returns the page of now. It is drawn once for all who want it, so that
// many who ask cost little more than one.
func (p *Page) frame() *frame {
	p.drawing.Lock()
	f := p.drawn
	fresh := f != nil && f.news == p.news.Load() && time.Since(f.at) < frameFor
	p.drawing.Unlock()
	if fresh {
		return f
	}
	news := p.news.Load()
	readings := p.read() // asks foreign code
	p.drawing.Lock()
	defer p.drawing.Unlock()
	if f := p.drawn; f != nil && f.news == p.news.Load() && time.Since(f.at) < frameFor {
		return f
	}
	now := time.Now()
	p.drawn = draw(p.view(readings, now))
	p.drawn.at, p.drawn.news = now, news
	return p.drawn
}

// message is what a live page is sent.
type message struct {
	HTML  string `json:"html"`
	Title string `json:"title"`
	Icon  string `json:"icon"`
	Say   string `json:"say"`
}

func draw(v view) *frame {
	var body, page bytes.Buffer
	// Writing to a buffer cannot fail, and the template is tested: an error would
	// be the page's.
	if err := pageTemplate.ExecuteTemplate(&body, "state", v); err != nil {
		return &frame{page: []byte("the page cannot be drawn"), message: []byte("{}")}
	}
	v.Body = template.HTML(body.String()) //#nosec G203 -- the same template has escaped it
	if err := pageTemplate.ExecuteTemplate(&page, "page", v); err != nil {
		return &frame{page: []byte("the page cannot be drawn"), message: []byte("{}")}
	}
	said, err := json.Marshal(message{HTML: body.String(), Title: v.DocTitle, Icon: v.Icon, Say: v.Say})
	if err != nil {
		said = []byte("{}")
	}
	return &frame{page: page.Bytes(), message: said}
}

// contentPolicy lets the page load its own parts, and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (p *Page) servePage(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", contentPolicy)
	answer(w, http.StatusOK, "text/html; charset=utf-8", p.frame().page)
}

// icon is a disc in the colour of a condition.
func icon(condition string) string {
	colour := map[string]string{"up": "#1a7f4b", "degraded": "#b7791f", "down": "#c62828"}[condition]
	if colour == "" {
		colour = "#6b7280"
	}
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="` + colour + `"/></svg>`
}
