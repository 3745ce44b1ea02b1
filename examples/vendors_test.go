package examples

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// vendors stands in for every host there is: it is the proxy through which the
// example's connections go, has a certificate for each name, and answers logins as
// the transcripts of the recipes say. All other requests are calls of an API.
type vendors struct {
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	caPEM  []byte
	logins map[string]login // by method and last segment of the path
	server *httptest.Server

	mu     sync.Mutex
	asked  int      // logins so far
	tokens []string // values that logins gave
	calls  []*http.Request
	refuse string // the next answer to a call; empty: a good one
}

// login is the answer to a login, in which the value is made another each time.
type login struct{ answer, value string }

var wanted = regexp.MustCompile(`(?m)^value: (.*)$`)

// newVendors reads the transcripts of the recipes.
func newVendors(t *testing.T, recipes map[string]bool) *vendors {
	t.Helper()
	v := &vendors{logins: map[string]login{}}
	for _, file := range transcripts(t) {
		if !recipes[file.recipe] || len(file.answers) == 0 || file.request == "" {
			continue
		}
		line, _, _ := strings.Cut(file.request, "\n")
		words := strings.Fields(line)
		u, err := url.Parse(words[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range file.answers {
			if m := wanted.FindStringSubmatch(a.want); m != nil {
				v.logins[words[0]+" "+path.Base(u.Path)] = login{a.answer, m[1]}
				break
			}
		}
	}
	v.authority(t)
	v.server = httptest.NewServer(http.HandlerFunc(v.proxy))
	t.Cleanup(v.server.Close)
	return v
}

// transcript is as much of a transcript as is needed here.
type transcript struct {
	recipe, request string
	host            string // that the client of a call asks
	answers         []struct{ answer, want string }
}

// transcripts reads those of all presets. The request is that of a login; of calls
// there are the answers alone.
func transcripts(t *testing.T) []transcript {
	t.Helper()
	paths, _ := filepath.Glob("../recipe/presets/testdata/*/*.txtar")
	var list []transcript
	for _, name := range paths {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		head := "\n" + string(ar.Comment)
		_, recipe, _ := strings.Cut(head, "\nrecipe: ")
		recipe, _, _ = strings.Cut(recipe, "\n")
		if strings.Contains(head, "\ngzip: true") || strings.Contains(head, "\nprevious:") {
			continue
		}
		one := transcript{recipe: recipe}
		for _, f := range ar.Files {
			switch text := string(f.Data); f.Name {
			case "request":
				if strings.Contains(head, "\ntoken: ") {
					one.request = text
				}
			case "client":
				if words := strings.Fields(text); len(words) > 1 {
					u, err := url.Parse(words[1])
					if err != nil {
						t.Fatal(err)
					}
					one.host = u.Hostname()
				}
			case "answer":
				one.answers = append(one.answers, struct{ answer, want string }{text, ""})
			case "want":
				if n := len(one.answers); n > 0 {
					one.answers[n-1].want = text
				}
			}
		}
		list = append(list, one)
	}
	return list
}

// refusal returns an answer to a call that refuses a token of the recipe, one of
// the host if there is any; "" if there is none at all.
func refusal(t *testing.T, recipe, host string) string {
	found := ""
	for _, file := range transcripts(t) {
		for _, a := range file.answers {
			if file.recipe != recipe || file.request != "" || !strings.Contains(a.want, "refused: ") {
				continue
			}
			if file.host == host {
				return a.answer
			}
			found = cmp.Or(found, a.answer)
		}
	}
	return found
}

// authority makes what signs the certificates.
func (v *vendors) authority(t *testing.T) {
	t.Helper()
	var err error
	if v.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	v.ca = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, v.ca, v.ca, v.key.Public(), v.key)
	if err != nil {
		t.Fatal(err)
	}
	v.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (v *vendors) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{hello.ServerName}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, v.ca, v.key.Public(), v.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: v.key}, err
}

// tunnel is a connection of which something was read already.
type tunnel struct {
	net.Conn
	rest *bufio.Reader
}

func (t tunnel) Read(b []byte) (int, error) { return t.rest.Read(b) }

// proxy takes CONNECT for https, and requests in absolute form.
func (v *vendors) proxy(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		v.serve(w, r)
		return
	}
	w.WriteHeader(http.StatusOK)
	conn, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	// The client may speak as soon as it has the answer, which is before this.
	secure := tls.Server(tunnel{conn, rest.Reader}, &tls.Config{GetCertificate: v.certificate, NextProtos: []string{"http/1.1"}})
	in := bufio.NewReader(secure)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		ans := httptest.NewRecorder()
		v.serve(ans, r)
		io.Copy(io.Discard, r.Body)
		result := ans.Result()
		result.ContentLength = int64(ans.Body.Len())
		if result.Write(secure) != nil {
			return
		}
	}
}

func (v *vendors) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := "HTTP/1.1 200 OK\n\n{\"errcode\":0}"
	if l, ok := v.logins[r.Method+" "+path.Base(r.URL.Path)]; ok {
		v.asked++
		value := fmt.Sprintf("%s-%d", l.value, v.asked)
		v.tokens = append(v.tokens, value)
		text = strings.ReplaceAll(l.answer, l.value, value)
	} else if v.calls = append(v.calls, r); v.refuse != "" {
		text, v.refuse = v.refuse, ""
	}
	head, body, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "\n\n")
	ans, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head+"\n\n")), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for name, values := range ans.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(ans.StatusCode)
	io.WriteString(w, body)
}

// rsaKey returns a private key in PEM.
var rsaKey = sync.OnceValues(func() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
})

// ecKey returns a private key on P-256 in PEM.
var ecKey = sync.OnceValues(func() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
})

var (
	fileOf  = regexp.MustCompile(`\{file: ([a-z.-]+)\}`)
	podFile = regexp.MustCompile(`(?:/var)?/run/secrets/[a-z./-]+`)
)

// files makes the files that an example reads, and returns the example with their
// paths.
func files(t *testing.T, dir string, text []byte) []byte {
	t.Helper()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range fileOf.FindAllSubmatch(text, -1) {
		data := []byte("from-a-file-of-more-than-32-letters")
		if bytes.HasSuffix(m[1], []byte(".pem")) {
			var err error
			make := rsaKey
			if bytes.HasPrefix(m[1], []byte("ec-")) {
				make = ecKey
			}
			if data, err = make(); err != nil {
				t.Fatal(err)
			}
		}
		write(string(m[1]), data)
	}
	write("pod", []byte("token-of-the-pod"))
	return podFile.ReplaceAll(text, []byte(filepath.Join(dir, "pod")))
}
