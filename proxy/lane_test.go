package proxy

import (
	"time"

	"attache/internal/lanetest"
)

// standardLane reports whether tests that serve a proxy use the standard lane alone.
// Without a word they use the express lane, which hands over what is not for it.
func standardLane() bool { return lanetest.Standard() }

// roomy are bounds that no test meets by chance.
var roomy = Bounds{Connections: 1000, Header: 64 << 10, HeaderTimeout: time.Minute, Idle: time.Minute, Stall: time.Minute}
