package app

import (
	"testing"

	"attache/internal/config"
)

func TestInTheWay(t *testing.T) {
	at := func(address string) config.Listener { return config.Listener{Address: address} }
	socket := func(path string) config.Listener { return config.Listener{Unix: &config.Socket{Path: path}} }
	for _, tc := range []struct {
		a, b config.Listener
		want bool
	}{
		{at("127.0.0.1:8484"), at("127.0.0.1:8484"), true},
		{at("127.0.0.1:8484"), at("0.0.0.0:8484"), true},
		{at("[::]:8484"), at("127.0.0.1:8484"), true},
		{at(":8484"), at("localhost:8484"), true},
		{at("127.0.0.1:8484"), at("127.0.0.2:8484"), false},
		{at("127.0.0.1:8484"), at("127.0.0.1:8485"), false},
		{at("0.0.0.0:0"), at("127.0.0.1:0"), false},
		{socket("/run/a"), socket("/run/a"), true},
		{socket("/run/a"), socket("/run/b"), false},
		{socket("/run/a"), at(":8484"), false},
		{at(":8484"), socket("/run/a"), false},
	} {
		if got := inTheWay(tc.a, tc.b); got != tc.want {
			t.Errorf("%+v is in the way of %+v: %v", tc.a, tc.b, got)
		}
	}
}
