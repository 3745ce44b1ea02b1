package interop

import "testing"

func measured(t testing.TB, name, value string) { t.Logf("measured %s: %s", name, value) }
