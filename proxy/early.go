package proxy

import (
	"net/http"
	"time"
)

// answerEarly writes an answer to a request whose body nobody will read. The
// server would first wait for the body, without any bound of time, and the
// client may wait for the answer before it sends more. So the answer goes out at
// once, and the connection ends after it: what is left of the body must never be
// taken for the next request.
func answerEarly(w http.ResponseWriter, r *http.Request, write func()) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		write()
		return
	}
	control := http.NewResponseController(w)
	if control.EnableFullDuplex() != nil {
		write()
		return
	}
	w.Header()["Connection"] = []string{"close"}
	write()
	control.Flush()
	// Ending the connection while the client still sends would destroy the
	// answer on its way.
	control.SetReadDeadline(time.Now().Add(unreadGrace))
	r.Body.Close()
}
