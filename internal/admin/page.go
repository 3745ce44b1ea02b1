package admin

import (
	_ "embed"
	"io"
	"net/http"
	"strings"
)

// The files of the page, as they are sent.
var (
	//go:embed page/index.html
	indexHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
	//go:embed page/icon.svg
	iconSVG string
)

// pagePolicy is what the page may do: load its own files, and ask this listener.
// It runs no script and applies no style but those of its files, so whatever
// text of others it shows, none of it comes to life.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageFile is a file of the page.
type pageFile struct{ contentType, content string }

// pageFiles returns the files by their paths.
func pageFiles() map[string]pageFile {
	return map[string]pageFile{
		"/":         {"text/html; charset=utf-8", indexHTML},
		"/page.css": {"text/css; charset=utf-8", pageCSS},
		"/page.js":  {"text/javascript; charset=utf-8", pageJS},
		"/icon.svg": {"image/svg+xml; charset=utf-8", iconSVG},
	}
}

func (f pageFile) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", f.contentType)
	io.WriteString(w, f.content) // a client that left is no concern of ours
}

// front returns what answers at /: the page to a browser, and to others the list.
func front(page pageFile, list string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		for _, accept := range r.Header["Accept"] {
			if strings.Contains(strings.ToLower(accept), "text/html") {
				page.serve(w, r)
				return
			}
		}
		text(w, http.StatusOK, list)
	}
}
