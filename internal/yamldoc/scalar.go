package yamldoc

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"attache/internal/shape"
)

// Text returns the scalar as written, whatever its type: 0123 stays "0123".
func (v Value) Text() (string, bool) {
	if v.node == nil {
		return "", false
	}
	if !v.IsScalar() {
		v.Errorf("want a text, got %s", v.Kind())
		return "", false
	}
	return v.node.Value, true
}

// Bool returns the boolean.
func (v Value) Bool() (value, ok bool) {
	if v.node == nil {
		return false, false
	}
	if !v.IsBool() || v.node.Decode(&value) != nil {
		v.Errorf("want true or false, got %s", v.shown())
		return false, false
	}
	return value, true
}

// Int returns the whole number, which must lie in [lo, hi].
func (v Value) Int(lo, hi int64) (int64, bool) {
	if v.node == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(v.node.Value, 10, 64)
	switch {
	case v.IsScalar() && errors.Is(err, strconv.ErrRange):
		v.Errorf("the number is out of range: want %d to %d", lo, hi)
		return 0, false
	case !v.IsScalar() || err != nil:
		v.Errorf("want a whole number, got %s", v.shown())
		return 0, false
	case n < lo || n > hi:
		v.Errorf("%d is out of range: want %d to %d", n, lo, hi)
		return 0, false
	}
	return n, true
}

// Float returns the number, which must lie in [lo, hi].
func (v Value) Float(lo, hi float64) (float64, bool) {
	if v.node == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.node.Value, 64)
	if !v.IsScalar() || err != nil || math.IsNaN(f) {
		v.Errorf("want a number, got %s", v.shown())
		return 0, false
	}
	if f < lo || f > hi {
		v.Errorf("%v is out of range: want %v to %v", f, lo, hi)
		return 0, false
	}
	return f, true
}

// Duration returns a duration such as 30s, 5m or 1h30m. It must lie in
// [lo, hi]. A number without a unit is a mistake, except 0.
func (v Value) Duration(lo, hi time.Duration) (time.Duration, bool) {
	if v.node == nil {
		return 0, false
	}
	if !v.IsScalar() {
		v.Errorf("want a duration such as 30s, 5m or 1h30m, got %s", v.Kind())
		return 0, false
	}
	d, err := time.ParseDuration(v.node.Value)
	if err != nil {
		v.Errorf("want a duration such as 30s, 5m or 1h30m, got %s", v.shown())
		return 0, false
	}
	if d < lo || d > hi {
		v.Errorf("%s is out of range: want %s to %s", shape.DurationText(d), shape.DurationText(lo), shape.DurationText(hi))
		return 0, false
	}
	return d, true
}

// Size returns a number of bytes such as 64KiB or 1MiB. It must lie in
// [lo, hi].
func (v Value) Size(lo, hi int64) (int64, bool) {
	if v.node == nil {
		return 0, false
	}
	text := v.node.Value
	suffix := strings.TrimLeft(text, shape.Digits)
	digits := strings.TrimSuffix(text, suffix)
	unit, known := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[suffix]
	if !v.IsScalar() || !known || digits == "" || len(digits) > 12 {
		v.Errorf("want a size such as 64KiB or 1MiB, got %s", v.shown())
		return 0, false
	}
	n, _ := strconv.ParseInt(digits, 10, 64) // at most 12 digits
	if n > math.MaxInt64/unit || n*unit < lo || n*unit > hi {
		v.Errorf("%s is out of range: want %s to %s", text, shape.SizeText(lo), shape.SizeText(hi))
		return 0, false
	}
	return n * unit, true
}

// OneOf returns the text, which must be one of words.
func (v Value) OneOf(words ...string) (string, bool) {
	text, ok := v.Text()
	if !ok {
		return "", false
	}
	if !slices.Contains(words, text) {
		shown := strconv.Quote(text)
		if len(text) > maxWord {
			shown = "the text" // too long for a misspelt word; who knows what it is
		}
		v.Errorf("%s is not one of %s%s", shown, strings.Join(words, ", "), DidYouMean(text, words))
		return "", false
	}
	return text, true
}

// maxShown and maxWord bound what messages quote, in bytes: a value may be a
// secret that was put in the wrong place.
const (
	maxShown = 12
	maxWord  = 24
)

// shown quotes short scalars, so that the reader finds them, and names the rest.
func (v Value) shown() string {
	if !v.IsScalar() || len(v.node.Value) > maxShown {
		return v.Kind()
	}
	return strconv.Quote(v.node.Value)
}
