package recipe

import (
	"errors"
	"slices"
	"testing"

	"attache/internal/yamldoc"
)

func TestPresets(t *testing.T) {
	names := PresetNames()
	for _, want := range []string{"huawei-aicc", "jiguang-ums", "oauth2/client-credentials", "openim", "openim/admin", "openim/user", "qiniu-im"} {
		if !slices.Contains(names, want) {
			t.Errorf("no preset %s in %q", want, names)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %q", names)
	}
	for _, name := range names {
		r, ok := Preset(name)
		if !ok {
			t.Errorf("%s: %v", name, presetProblems(name))
			continue
		}
		if r.Name != name || r.About == "" || len(r.Docs) == 0 {
			t.Errorf("%s: name %q, about %q, docs %q", name, r.Name, r.About, r.Docs)
		}
		for _, p := range r.Params {
			if got, ok := r.Param(p.Name); !ok || got.Name != p.Name {
				t.Errorf("%s: Param(%q) is %q, %v", name, p.Name, got.Name, ok)
			}
		}
	}
	for _, name := range []string{"", "none", "../presets/openim", "huawei-aicc.yaml"} {
		if _, ok := Preset(name); ok {
			t.Errorf("there is a preset %q", name)
		}
	}
}

// presetProblems says why a preset cannot be read.
func presetProblems(name string) error {
	data, ok := PresetSource(name)
	if !ok {
		return errors.New("there is no such file")
	}
	rep := &yamldoc.Report{}
	parse(rep, name, data)
	return rep.Err()
}
