package proxy

import "sync"

// bufferSize is that of the buffers that bodies are copied through, in bytes.
const bufferSize = 32 << 10

// smallSize is that of the buffers for a request and what is made of it, in bytes. A
// connection holds one while its request is under way.
const smallSize = 8 << 10

// smallPool lends buffers of 8 KiB, as [BufferPool] does.
type smallPool struct{ pool sync.Pool }

func (p *smallPool) get() []byte {
	if b, ok := p.pool.Get().(*[smallSize]byte); ok {
		return b[:]
	}
	return new([smallSize]byte)[:]
}

func (p *smallPool) put(b []byte) { p.pool.Put((*[smallSize]byte)(b)) }

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
