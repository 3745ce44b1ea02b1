package config

import "attache/internal/yamldoc"

// Lane says what serves the application's requests.
type Lane string

// What serves requests. In the express lane plain HTTP/1.1 requests go through a
// path of attache's own, which hands over all others to the server of net/http;
// in the standard lane that one has them all.
const (
	LaneExpress  Lane = "express"
	LaneStandard Lane = "standard"
)

// lane reads what serves requests.
func lane(o yamldoc.Object) Lane {
	if word, ok := o.OneOf("lane"); ok {
		return Lane(word)
	}
	return LaneExpress
}
