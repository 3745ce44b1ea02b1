package emulator

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

const controlPrefix = "/_emulator/"

// Control returns the handler of the control paths alone, for a listener of its
// own. They are the same as on the emulator itself:
//
//	GET    /_emulator/        what the emulator accepts, with curl lines
//	GET    /_emulator/stats   [Stats]
//	GET    /_emulator/faults  [Settings]
//	POST   /_emulator/faults  [Emulator.Apply]
//	DELETE /_emulator/faults  [Emulator.Reset]
func (e *Emulator) Control() http.Handler { return http.HandlerFunc(e.serveControl) }

func (e *Emulator) serveControl(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET " + controlPrefix:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, e.Hints("http://"+r.Host).String())
	case "GET " + controlPrefix + "stats":
		writeJSON(w, http.StatusOK, e.Stats())
	case "GET " + controlPrefix + "faults":
		writeJSON(w, http.StatusOK, e.Settings())
	case "POST " + controlPrefix + "faults":
		e.serveApply(w, r)
	case "DELETE " + controlPrefix + "faults":
		e.Reset()
		writeJSON(w, http.StatusOK, applied{Settings: e.Settings()})
	default:
		if path := strings.TrimPrefix(r.URL.Path, controlPrefix); path == "" || path == "stats" || path == "faults" {
			writeJSON(w, http.StatusMethodNotAllowed, controlError{"this path does not take " + r.Method})
			return
		}
		writeJSON(w, http.StatusNotFound, controlError{"use " + controlPrefix + ", " + controlPrefix + "stats or " + controlPrefix + "faults"})
	}
}

// applied is the answer to a change.
type applied struct {
	Ended    int      `json:"ended"` // tokens
	Settings Settings `json:"settings"`
}

type controlError struct {
	Error string `json:"error"`
}

func (e *Emulator) serveApply(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, controlError{err.Error()})
		return
	}
	ended, err := e.Apply(document)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, controlError{err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, applied{Ended: ended, Settings: e.Settings()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(v) // fails only if the client went away
}
