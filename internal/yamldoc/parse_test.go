package yamldoc

import (
	"strings"
	"testing"
)

// report parses data as f.yaml and returns all problems as text.
func report(data string, read func(Value)) string {
	rep := &Report{}
	root, ok := Parse(rep, "f.yaml", []byte(data))
	if ok && read != nil {
		read(root)
	}
	if err := rep.Err(); err != nil {
		return err.Error()
	}
	return ""
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ data, want string }{
		"empty":             {"", "f.yaml:1:1: the file is empty"},
		"comments only":     {"# nothing\n\n", "f.yaml:1:1: the file is empty"},
		"null":              {"---\n~\n", "f.yaml:1:1: the file is empty"},
		"second document":   {"a: 1\n---\nb: 2\n", "f.yaml:2:1: the file holds a second document; only one is read"},
		"broken second one": {"a: 1\n---\nb: [\n", "f.yaml:3:1: not valid YAML here or in the line above: did not find expected node content; check the indentation, and quote texts with special characters"},
		"indentation of a map": {"a: 1\nb:\n  c: 1\n  d: 2\n e: 3\nf: 1\n",
			"f.yaml:5:1: not valid YAML here or in the line above: did not find expected key; check the indentation, and quote texts with special characters"},
		"indentation of a list": {"a: 1\nb:\n  - c: 1\n  - d: 2\n  e: 3\nf: 1\n",
			"f.yaml:5:1: not valid YAML here or in the line above: did not find expected '-' indicator; check the indentation, and quote texts with special characters"},
		"open bracket": {"a: 1\nb: 2\nc: {d: 1\ne: 1\nf: 1\n",
			"f.yaml:3:1: not valid YAML in the brackets that open here: did not find expected ',' or '}'; close them, and quote texts with special characters"},
		"open quote":                           {"a: 1\nb: \"c\nd: 1\n", "f.yaml:2:1: not valid YAML: a quote is opened here and never closed"},
		"colon":                                {"a: b: c\n", "f.yaml:1:1: not valid YAML: a colon where no key can be; quote a text that holds a colon and a space, put a space behind the colon of a key, and check the indentation"},
		"tab":                                  {"a: 1\nb:\n  c: 1\n\td: 1\n  e: 1\nz: 1\n", "f.yaml:4:1: not valid YAML: a tab; YAML is indented with spaces"},
		"percent":                              {"a: 1\nb: %x\n", "f.yaml:2:1: not valid YAML: a text cannot begin with a character such as @, % or `; quote it"},
		"tab first":                            {"a:\n\tb: 1\n", "f.yaml:2:1: not valid YAML: a tab; YAML is indented with spaces"},
		"tab in a block":                       {"a: |\n\tb\n", "f.yaml:2:1: not valid YAML: a tab; YAML is indented with spaces"},
		"no space behind a colon":              {"a:1\nb: 2\n", "f.yaml:2:1: not valid YAML: a colon where no key can be; quote a text that holds a colon and a space, put a space behind the colon of a key, and check the indentation"},
		"escape":                               {"a: \"\\d\"\n", `f.yaml:1:1: not valid YAML: in double quotes \ begins an escape; write \\ or use single quotes`},
		"list behind its key":                  {"a: - b\n", "f.yaml:1:1: not valid YAML: a list begins in a line of its own, below its key"},
		"no colon":                             {"a: 1\nbc\nd: 2\n", "f.yaml:2:1: not valid YAML: a colon is missing behind a key, here or in the line above"},
		"not UTF-8":                            {"a: 1\nb: 2\nc: \xff\nd: 1\n", "f.yaml:3:1: not valid YAML: invalid leading UTF-8 octet"},
		"control":                              {"a: 1\nb: \x01\n", "f.yaml:2:1: not valid YAML: control characters are not allowed"},
		"alias":                                {"a: &x 1\nb: *x\n", "f.yaml:1:4: YAML anchors are not supported; quote a text that begins with &\nf.yaml:2:4: " + aliasText},
		"a password that looks like an alias":  {"a: 1\nb:\n  c: *hunter2\n", "f.yaml:3:6: " + aliasText},
		"a password that looks like an anchor": {"a: &hunter 2\n", "f.yaml:1:4: YAML anchors are not supported; quote a text that begins with &"},
		"a password that looks like a tag":     {"a: !hunter2\n", "f.yaml:1:4: YAML tags are not supported; quote a text that begins with !"},
		"tagged null":                          {"!!null x\n", "f.yaml:1:1: YAML tags are not supported; quote a text that begins with !"},
		"merge key":                            {"a:\n  <<: {b: 1}\n", "f.yaml:2:3: YAML merge keys are not supported; write the members out"},
		"too large":                            {strings.Repeat("#", MaxSize+1), "f.yaml: the file is larger than 1048576 bytes"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := report(tc.data, nil); got != tc.want {
				t.Errorf("\n got %s\nwant %s", got, tc.want)
			}
			if _, ok := Parse(&Report{}, "f.yaml", []byte(tc.data)); ok {
				t.Error("ok is true")
			}
		})
	}
}
