package page

import (
	"cmp"
	"image/color"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// fontConfig prefers, for the pictures, the fonts that look like those of common
// systems. Nothing else depends on them.
const fontConfig = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <alias binding="strong"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="strong"><family>sans</family><prefer><family>Inter</family></prefer></alias>
  <match target="font"><edit name="hintstyle" mode="assign"><const>hintslight</const></edit></match>
</fontconfig>
`

// fonts returns the environment in which the browser chooses its fonts.
func fonts(dir string) []string {
	path := filepath.Join(dir, "fonts.conf")
	if os.WriteFile(path, []byte(fontConfig), 0o600) != nil {
		return nil
	}
	return []string{"FONTCONFIG_FILE=" + path}
}

// palette returns n of the colours that occur: half of them those that occur most,
// the others as different as possible from those that are chosen.
func palette(counts map[color.RGBA]int, n int) color.Palette {
	order := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	chosen := color.Palette{}
	for _, c := range order[:min(n/2, len(order))] {
		chosen = append(chosen, c)
	}
	rest := order[len(chosen):]
	away := make([]int, len(rest)) // of each from the nearest that is chosen
	for i, c := range rest {
		away[i] = distance(c, chosen[chosen.Index(c)].(color.RGBA))
	}
	for len(chosen) < n && len(rest) > 0 {
		far := 0
		for i := range rest {
			if away[i] > away[far] {
				far = i
			}
		}
		next := rest[far]
		chosen = append(chosen, next)
		for i, c := range rest {
			away[i] = min(away[i], distance(c, next))
		}
		if away[far] = 0; slices.Max(away) == 0 {
			break
		}
	}
	return chosen
}

func distance(a, b color.RGBA) int {
	r, g, bl := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
	return r*r + g*g + bl*bl
}
