package config

import (
	"path/filepath"
	"strings"

	"attache/internal/yamldoc"
	"attache/recipe"
)

// recipe finds the recipe that v names: a preset, or a file. nil: there is
// none, and that is reported.
func (l *loader) recipe(v yamldoc.Value) *recipe.Recipe {
	text, ok := v.Text()
	if !ok {
		return nil
	}
	if r, ok := recipe.Preset(text); ok {
		return r
	}
	if !looksLikeFile(text) {
		hint := recipe.PresetHint(text)
		if hint == "" {
			hint = "; a path to a recipe file ends in .yaml, and `attache recipes` lists the built-in ones"
		}
		v.Errorf("there is no recipe of this name%s", hint)
		return nil
	}
	path := l.path(text)
	if r, known := l.recipes[path]; known {
		return r
	}
	l.files.Add(path)
	data, err := readFile(path)
	if err != nil {
		v.Errorf("read recipe %s: %v", path, err)
		return nil
	}
	r, ok := recipe.Parse(l.rep, path, data)
	if !ok {
		r = nil
	}
	l.recipes[path] = r
	return r
}

// looksLikeFile tells paths from names; names of presets may have a slash.
func looksLikeFile(text string) bool {
	ext := filepath.Ext(text)
	return ext == ".yaml" || ext == ".yml" || filepath.IsAbs(text) || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")
}
