package http1

// Ready reports whether the next Read returns at once, because something of the
// body is here already. Like Read it is for one goroutine at a time. False may
// mean that it is not known.
func (b *answerBody) Ready() bool { return b.kind != bodyChunked && b.buffered() > 0 }

// Whole reports whether all that is left of the body is here already, so that it
// can be read to its end without waiting. Like Read it is for one goroutine at a
// time. False may mean that it is not known.
func (b *answerBody) Whole() bool {
	n := int64(b.buffered())
	return b.kind == bodyCounted && n > 0 && n >= b.left
}

// buffered returns how many bytes were read from the connection and belong to
// the body, or in chunks to its framing.
func (b *answerBody) buffered() int {
	if b.state.Load() != stateIdle { // the connection may be somebody else's
		return 0
	}
	return b.conn.w - b.conn.r
}
