package exchange

// Trace is the id of a sampled trace, as the W3C Trace Context recommendation
// has it: 32 lower-case hex digits, not all of them 0. The zero Trace stands
// for no trace. There is no way to make one of anything else, so that what a
// client sends can show as nothing but that.
type Trace struct{ id string }

// String returns the id, or "" for no trace.
func (t Trace) String() string { return t.id }

// SampledTrace returns the trace that a request with the given values of the
// header traceparent is part of, if its caller records that trace. A header
// that is missing, sent more than once or not well formed stands for no trace,
// and so does one whose sampled flag is not set: nobody could look its id up.
// It allocates nothing; the id is a part of the value.
//
// https://www.w3.org/TR/trace-context/#traceparent-header
func SampledTrace(traceparent []string) Trace {
	const (
		version, id, parent, flags = 0, 3, 36, 53 // where the parts begin
		end                        = 55
	)
	if len(traceparent) != 1 || len(traceparent[0]) < end {
		return Trace{}
	}
	v := traceparent[0]
	if v[id-1] != '-' || v[parent-1] != '-' || v[flags-1] != '-' {
		return Trace{}
	}
	if v[version:id-1] == "00" && len(v) > end || len(v) > end && v[end] != '-' {
		return Trace{} // only later versions may have more parts
	}
	if !lowerHex(v[version:id-1]) || v[version:id-1] == "ff" || !lowerHex(v[flags:end]) {
		return Trace{}
	}
	if !isID(v[id:parent-1]) || !isID(v[parent:flags-1]) || !sampled(v[end-1]) {
		return Trace{}
	}
	return Trace{v[id : parent-1]}
}

// isID reports whether s is hex digits that are not all 0.
func isID(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return lowerHex(s)
		}
	}
	return false
}

// lowerHex reports whether s is lower-case hex digits alone.
func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// sampled reports whether the last bit of a hex digit is set.
func sampled(digit byte) bool {
	if digit >= 'a' {
		return (digit-'a')%2 == 1 // b, d and f
	}
	return digit%2 == 1
}
