package proxy

import "sync"

// bufferSize is that of the buffers that bodies are copied through, in bytes.
const bufferSize = 32 << 10

// BufferPool lends buffers of 32 KiB. The zero value is ready, and safe for
// concurrent use.
type BufferPool struct{ pool sync.Pool }

// Get returns a buffer.
func (p *BufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return new([bufferSize]byte)[:]
}

// Put takes a buffer of Get back.
func (p *BufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
