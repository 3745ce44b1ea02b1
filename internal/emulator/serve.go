package emulator

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	jsonType    = "application/json; charset=utf-8"
	maxBody     = 1 << 20
	endlessSize = 4 << 30
)

// surface is one HTTP API of a vendor.
type surface struct {
	name   string
	prefix string // "/" + name
	// login says whether a call is a login and which kind of token it asks for;
	// the kind is "" when the request does not say. nil: there are no logins.
	login func(c *call) (kind string, ok bool)
	// serve answers a call. It only touches memory.
	serve func(c *call) reply
	// down, throttled and denied are the vendor's own words for trouble; denied
	// gets the kind of token for logins and "" for calls.
	down, throttled reply
	denied          func(c *call, login bool, kind string) reply
	jsonType        string // content type of JSON answers; "": jsonType
	gzips           bool   // compresses by habit when accepted
}

// call is one request on its way through a surface.
type call struct {
	e    *Emulator
	r    *http.Request
	path string // without the surface's prefix
	now  time.Time
	set  *Settings
}

// reply is an answer before it is written.
type reply struct {
	status      int    // 0: 200
	body        string // JSON unless contentType says otherwise
	contentType string // "": JSON
	header      [][2]string
	zeros       int64 // so many zero bytes instead of body

	reason reason // why it is a refusal; fine: it is none
	kind   string // logins: the kind of token handed out
	token  string // logins: the token as it stands in body
}

var errTooLarge = errors.New("the request's body is larger than 1 MiB")

// decode reads the request's JSON object into v.
func (c *call) decode(v any) error {
	data, err := c.body()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// body reads the request's body, of which there is no more than 1 MiB.
func (c *call) body() ([]byte, error) {
	if c.r.Body == nil { // only when a handler is called without a server
		return nil, io.ErrUnexpectedEOF
	}
	data, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	if err == nil && len(data) > maxBody {
		err = errTooLarge
	}
	return data, err
}

// header returns a request header's value and whether it is there.
func (c *call) header(canonical string) (string, bool) {
	v := c.r.Header[canonical]
	if len(v) == 0 {
		return "", false
	}
	return v[0], true
}

// isJSON reports whether the request says that its body is JSON.
func (c *call) isJSON() bool {
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// serve takes a request through settings, the vendor's own handler and out.
func (e *Emulator) serve(w http.ResponseWriter, r *http.Request, s *surface, path string) {
	st := e.state.Load()
	c := &call{e: e, r: r, path: path, now: e.now(), set: &st.Settings}
	var kind string
	var login bool
	if s.login != nil {
		kind, login = s.login(c)
	}
	t := st.trouble(c, s, login, kind)
	if login {
		if !pause(r.Context(), t.Delay) {
			return
		}
		c.now = e.now()
	}
	rep := c.answer(s, t, login, kind)
	e.counts.count(s, login, t, rep)
	if !takeBody(w, r, !login && st.Early) {
		return
	}
	if !login && !pause(r.Context(), t.Delay) {
		return
	}
	if t.Fault == FaultDrop {
		panic(http.ErrAbortHandler) // net/http closes the connection, silently
	}
	if t.Fault == FaultEndless {
		writeEndless(w)
		return
	}
	e.write(w, c, s, rep)
}

// takeBody swallows an upload whole before the answer, as servers do, or lets
// the answer overtake it. It returns false, and answers 400, if the body broke
// off or was no legal HTTP.
func takeBody(w http.ResponseWriter, r *http.Request, early bool) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	if !early {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "the body broke off", http.StatusBadRequest)
			return false
		}
		return true
	}
	// Else net/http would wait for some of the body before it writes the answer,
	// to use the connection again.
	w.Header().Set("Connection", "close")
	return true
}

// answer makes the reply to a call under a trouble, which may be none.
func (c *call) answer(s *surface, t Trouble, login bool, kind string) reply {
	var rep reply
	switch t.Fault {
	case FaultDown:
		rep = s.down
	case FaultThrottle:
		rep = s.throttled
		if rep.status == 0 {
			rep.status = http.StatusTooManyRequests
		}
		if t.RetryAfter > 0 && t.Status != http.StatusOK {
			seconds := int64(time.Duration(t.RetryAfter).Round(time.Second) / time.Second)
			rep.header = [][2]string{{"Retry-After", strconv.FormatInt(seconds, 10)}}
		}
	case FaultHTML:
		rep = reply{body: htmlPage, contentType: "text/html; charset=utf-8"}
	case FaultDrop, FaultEndless:
		return reply{}
	case FaultDeny:
		// A call is denied in spite of its good token: the token comes first.
		if rep = (reply{}); !login {
			rep = s.serve(c)
		}
		if rep.reason != fine {
			return rep
		}
		rep = s.denied(c, login, kind)
	default:
		rep = s.serve(c)
	}
	if t.Status != 0 {
		rep.status = t.Status
	}
	return spoil(rep, t.Fault)
}

// spoil damages the ordinary answer as the fault says.
func spoil(rep reply, f Fault) reply {
	switch f {
	case FaultTruncated:
		rep.body = rep.body[:len(rep.body)/2]
	case FaultEmpty:
		rep.body, rep.zeros = "", 0
	case FaultLineBreak:
		if half := len(rep.token) / 2; half > 0 {
			rep.body = strings.Replace(rep.body, rep.token, rep.token[:half]+`\r\n`+rep.token[half:], 1)
		}
	}
	return rep
}

const htmlPage = `<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>
`

// write sends the reply, compressed if the settings and the request say so.
func (e *Emulator) write(w http.ResponseWriter, c *call, s *surface, rep reply) {
	h := w.Header()
	for _, f := range rep.header {
		// Directly, because the spelling of the name is the vendor's.
		h[f[0]] = append(h[f[0]], f[1])
	}
	h.Set("Content-Type", cmp.Or(rep.contentType, c.set.ContentType, s.jsonType, jsonType))
	if rep.status == 0 {
		rep.status = http.StatusOK
	}
	if rep.zeros > 0 {
		h.Set("Content-Length", strconv.FormatInt(rep.zeros, 10))
		w.WriteHeader(rep.status)
		writeZeros(w, rep.zeros)
		return
	}
	if !c.compresses(s) || rep.body == "" {
		w.WriteHeader(rep.status)
		io.WriteString(w, rep.body)
		return
	}
	h["Content-Encoding"], h["Vary"] = []string{"gzip"}, []string{"Accept-Encoding"}
	w.WriteHeader(rep.status)
	e.writeGzip(w, rep.body)
}

// compresses reports whether the answer to the call is to be compressed.
func (c *call) compresses(s *surface) bool {
	switch c.set.Gzip {
	case GzipAlways:
		return true
	case GzipOff:
		return false
	case GzipVendor:
		if !s.gzips {
			return false
		}
	}
	for part := range strings.SplitSeq(c.r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}

func (e *Emulator) writeGzip(w io.Writer, body string) {
	buf, _ := e.buffers.Get().(*bytes.Buffer)
	if buf == nil {
		buf = new(bytes.Buffer)
	}
	buf.Reset()
	z, _ := e.zippers.Get().(*gzip.Writer)
	if z == nil {
		z, _ = gzip.NewWriterLevel(buf, gzip.BestSpeed) // the level is legal
	} else {
		z.Reset(buf)
	}
	io.WriteString(z, body) // into memory: cannot fail
	z.Close()
	e.zippers.Put(z)
	w.Write(buf.Bytes())
	e.buffers.Put(buf)
}

// pause waits and reports whether the request is still wanted afterwards.
func pause(ctx context.Context, d Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// writeEndless sends 4 GB that start like a good answer. It ends early when the
// client hangs up.
func writeEndless(w http.ResponseWriter) {
	w.Header()["Content-Type"] = []string{jsonType}
	if _, err := io.WriteString(w, `{"code":0,"errCode":0,"resultCode":"0","token":"`); err != nil {
		return
	}
	writeFill(w, endlessSize, 'x')
}

func writeZeros(w io.Writer, n int64) { writeFill(w, n, 0) }

func writeFill(w io.Writer, n int64, b byte) {
	chunk := bytes.Repeat([]byte{b}, 32<<10)
	for n > 0 {
		k := min(n, int64(len(chunk)))
		if _, err := w.Write(chunk[:k]); err != nil {
			return
		}
		n -= k
	}
}
