package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
)

// roleReverseProxy as first argument makes this program the proxy that it
// compares others with.
const roleReverseProxy = "reverseproxy"

// serveReverseProxy is what a Go programmer writes in an afternoon, with the
// settings that matter: idle connections, and buffers that are used again.
func serveReverseProxy(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: " + roleReverseProxy + " LISTEN UPSTREAM CA")
	}
	upstream, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	authorization := "Bearer " + os.Getenv("BENCH_TOKEN")
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Header.Set("Authorization", authorization)
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024,
			DisableCompression:  true,
			TLSClientConfig:     &tls.Config{RootCAs: roots, ServerName: "localhost"},
		},
		BufferPool: &buffers{},
		ErrorLog:   log.New(os.Stderr, "", 0),
	}
	return (&http.Server{Addr: args[0], Handler: proxy}).ListenAndServe()
}

// buffers is an [httputil.BufferPool].
type buffers struct{ pool sync.Pool }

// Get returns a buffer of 32 KiB.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

// Put takes a buffer back.
func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
