package storetest_test

import (
	"testing"
	"time"

	"attache/refresher"
	"attache/store/storetest"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, true, func(*testing.T) *storetest.Subject {
		s := refresher.NewMemoryStore()
		return &storetest.Subject{
			Open:    func(*testing.T, storetest.Settings) refresher.Store { return s },
			Advance: time.Sleep,
		}
	})
}
