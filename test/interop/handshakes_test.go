package interop

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestCertificatesUnderLoad exchanges the certificate of a listener again and
// again, under load of new connections only. No handshake may fail, and each
// certificate has to be served soon.
func TestCertificatesUnderLoad(t *testing.T) { inLanes(t, certificatesUnderLoad) }

func certificatesUnderLoad(t *testing.T, l lane) {
	const exchanges = 51
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "done") }))
	defer upstream.Close()
	ca := newAuthority(t, "servers")
	dir := t.TempDir()
	// As Kubernetes lays out a Secret: tls.crt → ..data/tls.crt, ..data → a folder.
	put := func(i int) {
		folder := fmt.Sprint("..", i)
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		ca.issue(t, filepath.Join(dir, folder), int64(i))
		if err := os.Symlink(folder, filepath.Join(dir, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink("..data/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	a := l.start(t, fmt.Sprintf(`
listen: {address: 127.0.0.1:0, tls: {cert: %q, key: %q}}
log: {requests: none}
routes: [{path: /, upstream: %q}]
`, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), upstream.URL))
	hands := newHandshakes(t, 4, a.address, ca)
	for i := 2; i <= exchanges; i++ {
		put(i)
		hands.await(t, int64(i))
	}
	hands.end()
	if n := hands.failed.Load(); n > 0 {
		t.Errorf("%d of %d handshakes failed; the first: %s", n, hands.done.Load(), *hands.first.Load())
	}
	measured(t, l.figure("certificates exchanged under load"), fmt.Sprintf("%d, %d handshakes meanwhile, %d of them resumed, %d failed",
		exchanges-1, hands.done.Load(), hands.resumed.Load(), hands.failed.Load()))
	if !t.Failed() {
		record(t, suite{name: "Certificates exchanged under load, no handshake failed", lane: l, tests: exchanges - 1, passed: exchanges - 1})
	}
}

// handshakes is clients that open a connection for each request.
type handshakes struct {
	done, failed, resumed atomic.Int64
	newest                atomic.Int64 // serial number seen last
	first                 atomic.Pointer[string]
	stop                  chan struct{}
	clients               sync.WaitGroup
}

func newHandshakes(t testing.TB, clients int, address string, ca *authority) *handshakes {
	t.Helper()
	h := &handshakes{stop: make(chan struct{})}
	for i := range clients {
		h.clients.Go(func() {
			config := &tls.Config{RootCAs: ca.pool()}
			if i%2 == 1 { // a half resumes sessions, as real clients do
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
			for {
				select {
				case <-h.stop:
					return
				default:
					h.shake(client, "https://"+address+"/")
				}
			}
		})
	}
	t.Cleanup(h.end)
	return h
}

func (h *handshakes) shake(client *http.Client, url string) {
	h.done.Add(1)
	answer, err := client.Get(url)
	if err != nil {
		h.failed.Add(1)
		text := err.Error()
		h.first.CompareAndSwap(nil, &text)
		return
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if answer.TLS.DidResume { // then the certificate is that of the session's beginning
		h.resumed.Add(1)
		return
	}
	h.newest.Store(answer.TLS.PeerCertificates[0].SerialNumber.Int64())
}

// await waits until a certificate with that serial number is served.
func (h *handshakes) await(t testing.TB, serial int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); h.newest.Load() != serial; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("certificate %d is served, want %d", h.newest.Load(), serial)
		}
	}
}

// end stops the clients and waits for them. It may be called more than once.
func (h *handshakes) end() {
	select {
	case <-h.stop:
	default:
		close(h.stop)
	}
	h.clients.Wait()
}
