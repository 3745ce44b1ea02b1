package proxy

import "sync"

// bufferSize is that of the buffers that bodies are copied through, in bytes.
const bufferSize = 32 << 10

// bufferPool lends buffers of bufferSize. The zero value is ready, and safe for
// concurrent use.
type bufferPool struct{ pool sync.Pool }

// get returns a buffer.
func (p *bufferPool) get() []byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return new([bufferSize]byte)[:]
}

// put takes a buffer of get back.
func (p *bufferPool) put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
