package shape

import "strings"

// Letters of which names and addresses are made.
const (
	SmallLetters = "abcdefghijklmnopqrstuvwxyz"
	Digits       = "0123456789"
	Alphanumeric = SmallLetters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + Digits
	// PathLetters may stand in a path of a URL: RFC 3986, section 3.3, and %.
	PathLetters = Alphanumeric + "-._~!$&'()*+,;=:@/%"
	// NameLetters may stand in a name that a file of attache makes up.
	NameLetters = SmallLetters + Digits + "_-"
)

// These are functions and not regular expressions because every start needs
// them: to compile one takes more memory than a small configuration.

// Only reports whether text has no letters but those of set, which are ASCII. An
// empty text has none.
func Only(text, set string) bool { return strings.Trim(text, set) == "" }

// IsName reports whether text is a name such as access or my-app_2.
func IsName(text string) bool {
	return text != "" && strings.IndexByte(SmallLetters, text[0]) >= 0 && Only(text, NameLetters)
}

// AreNames reports whether text is one name or several with sep between them.
func AreNames(text, sep string) bool {
	for name := range strings.SplitSeq(text, sep) {
		if !IsName(name) {
			return false
		}
	}
	return true
}

// IsVariable reports whether text is the name of an environment variable.
func IsVariable(text string) bool {
	return text != "" && strings.IndexByte(Digits, text[0]) < 0 && Only(text, Alphanumeric+"_")
}

// IsHostLabel reports whether text is what stands between the dots of a host's
// name in lower case. Underscores occur in the names of containers.
func IsHostLabel(text string) bool {
	return text != "" && len(text) <= 63 && text[0] != '-' && text[len(text)-1] != '-' && Only(text, NameLetters)
}

// IsHostName reports whether text is a host's name in lower case, or a part of
// one.
func IsHostName(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if !IsHostLabel(label) {
			return false
		}
	}
	return true
}
