package proxy

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dates gives the Date field of answers, formatted once for each second.
type dates struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   string
}

func (d *dates) at(now time.Time) string {
	second := now.Unix()
	if last := d.last.Load(); last != nil && last.second == second {
		return last.text
	}
	made := &date{second, now.UTC().Format(http.TimeFormat)}
	d.last.Store(made)
	return made.text
}
