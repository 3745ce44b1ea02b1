// Package presets holds the recipes that are built in, one YAML file each. The
// file's path less ".yaml" is the recipe's name.
package presets

import "embed"

// FS holds the preset recipes: "huawei-aicc.yaml", "openim/admin.yaml".
//
//go:embed *.yaml */*.yaml
var FS embed.FS
