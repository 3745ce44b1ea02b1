package proxy

import (
	"net/textproto"
	"strings"
)

// reduceEncoding cuts an Accept-Encoding header down to what a judge can read:
// gzip if the client takes it, and identity. It keeps the client's weights. A
// client that takes neither gets identity all the same: no upstream answers 406.
func reduceEncoding(values []string) string {
	var kept strings.Builder
	gzip, wildcard := false, false
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			item = textproto.TrimString(item)
			coding, params, _ := strings.Cut(item, ";")
			switch coding = textproto.TrimString(coding); {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				gzip = true
			case strings.EqualFold(coding, "identity"):
			case coding == "*":
				wildcard = wildcard || !zeroWeight(params)
				continue
			default:
				continue
			}
			if kept.Len() > 0 {
				kept.WriteString(", ")
			}
			kept.WriteString(item)
		}
	}
	if wildcard && !gzip { // "*" stood for gzip as well
		if kept.Len() > 0 {
			kept.WriteString(", ")
		}
		kept.WriteString("gzip")
	}
	if kept.Len() == 0 {
		return "identity"
	}
	return kept.String()
}

// zeroWeight reports whether the parameters of a coding say q=0, that is: not
// acceptable.
func zeroWeight(params string) bool {
	weight, ok := strings.CutPrefix(strings.ToLower(textproto.TrimString(params)), "q=")
	return ok && strings.Trim(weight, "0.") == ""
}
