package admin

import (
	"embed"
	"net/http"
	"path"
	"slices"
	"strings"
)

// page has the files of the page, as they are sent.
//
//go:embed page/*.html page/*.css page/*.js page/*.svg
var page embed.FS

// pagePolicy is what the page may do: load its own files, and ask this listener.
// It runs no script and applies no style but those of its files, so whatever
// text of others it shows, none of it comes to life.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageFile is a file of the page. It is copied out of the binary when somebody asks
// for it: an attache whose page nobody opens has none of it in its memory.
type pageFile struct{ contentType, path string }

// pageFiles returns the files by their paths.
func pageFiles() map[string]pageFile {
	types := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	files := map[string]pageFile{}
	entries, _ := page.ReadDir("page") // it is part of the binary: it cannot fail
	for _, e := range entries {
		at := "/" + e.Name()
		if at == "/index.html" {
			at = "/"
		}
		files[at] = pageFile{types[path.Ext(e.Name())] + "; charset=utf-8", "page/" + e.Name()}
	}
	return files
}

func (f pageFile) content() []byte {
	content, _ := page.ReadFile(f.path) // it is part of the binary: it cannot fail
	return content
}

func (f pageFile) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", f.contentType)
	w.Write(f.content()) // a client that left is no concern of ours
}

// front returns what answers at /: the page to a browser, and to others the list.
func front(page pageFile, list string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if accepts(w, r, "text/html") {
			page.serve(w, r)
			return
		}
		text(w, http.StatusOK, list)
	}
}

// accepts reports whether a request names a type among those that it accepts, and
// has the answer say that it depends on that.
func accepts(w http.ResponseWriter, r *http.Request, contentType string) bool {
	w.Header().Set("Vary", "Accept")
	return slices.ContainsFunc(r.Header["Accept"], func(accept string) bool {
		return strings.Contains(strings.ToLower(accept), contentType)
	})
}
