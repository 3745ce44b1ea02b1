package http1

// ProtocolError is an answer or a request that is not HTTP/1.1, or can be read in more
// than one way, or a request that cannot be sent as HTTP/1.1. Its text is fixed and
// holds nothing that anybody sent.
type ProtocolError struct{ text string }

// Error implements error.
func (e *ProtocolError) Error() string { return e.text }

func malformed(what string) error {
	return &ProtocolError{"the upstream's answer is not HTTP/1.1: " + what}
}

func unsendable(what string) error {
	return &ProtocolError{"the request cannot be sent: " + what}
}

func badRequest(what string) error {
	return &ProtocolError{"the request is not HTTP/1.1: " + what}
}
