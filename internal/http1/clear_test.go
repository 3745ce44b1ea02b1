package http1

import (
	"strings"
	"testing"
)

// TestClear: nothing of a head is kept, nor is the memory that a huge one took.
func TestClear(t *testing.T) {
	for fields, kept := range map[int]bool{keptFields / 4: true, 10 * keptFields: false} {
		var h RequestHead
		text := "GET /x HTTP/1.1\r\nHost: up.example\r\n" + strings.Repeat("A: 1\r\n", fields) + "\r\n"
		if err := h.Parse(text); err != nil || h.Fields.Len() != fields {
			t.Fatal(err)
		}
		h.Clear()
		if h.Method+h.Target+h.Host != "" || h.Fields.Len() != 0 || cap(h.Fields.names) > 0 != kept {
			t.Errorf("%d fields: %+v is left", fields, h)
		}
		trip := Trip{Status: 200, text: text, method: "GET", line: statusLine{text: text}}
		if err := trip.Fields.parse(strings.Repeat("A: 1\r\n", fields)); err != nil {
			t.Fatal(err)
		}
		trip.Clear()
		if trip.text+trip.method+trip.line.text != "" || trip.Status != 0 || cap(trip.Fields.values) > 0 != kept {
			t.Errorf("%d fields: %+v is left", fields, &trip)
		}
	}
}
