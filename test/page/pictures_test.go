package page

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write docs/pictures/page-*.png")

// heaviest bounds a picture, in bytes.
const heaviest = 150 << 10

// Pictures are looked at by people: of each, this test holds only that it can be
// made, is not empty and not heavy.
func TestPictures(t *testing.T) {
	for _, p := range []struct {
		name   string
		look   look
		status document
		events []event
	}{
		{"fresh-light", look{width: 1440, height: 960}, well(), happened()},
		{"fresh-dark", look{width: 1440, height: 960, dark: true}, well(), happened()},
		{"due-light", look{width: 1180, height: 664}, dueState(), happened()},
		{"failing-light", look{width: 1180, height: 860}, failing(), happened()},
		{"blocked-dark", look{width: 1180, height: 996, dark: true}, blocked(), happened()},
		{"many-light", look{width: 1440, height: 900}, crowd(200), happened()},
		{"phone-light", look{width: 360, height: 1100}, failing(), happened()},
		{"phone-dark", look{width: 360, height: 1100, dark: true}, well(), happened()},
	} {
		t.Run(p.name, func(t *testing.T) {
			f := serve(t, p.status, p.events...)
			b := open(t, f.URL, p.look)
			f.change(func(d *document) { d.serveMore(34, 11, 3, 0) })
			b.until(`document.querySelectorAll('.event').length === 10 && /\d/.test(document.querySelector('#route-list td:nth-child(3)').textContent)`)
			shot := get(b, chromedp.CaptureScreenshot())
			b.quiet()
			small := reduce(t, shot)
			if len(small) > heaviest {
				t.Errorf("the picture has %d bytes, more than %d", len(small), heaviest)
			}
			if *update {
				if err := os.WriteFile(filepath.Join("../../docs/pictures", "page-"+p.name+".png"), small, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// reduce writes a picture with at most 256 colours.
func reduce(t *testing.T, shot []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	full := image.NewRGBA(b)
	draw.Draw(full, b, img, b.Min, draw.Src)
	counts := map[color.RGBA]int{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			counts[full.RGBAAt(x, y)]++
		}
	}
	if len(counts) < 20 {
		t.Fatalf("the picture has %d colours: there is nothing on it", len(counts))
	}
	colors := palette(counts, 256)
	nearest := map[color.RGBA]uint8{}
	for c := range counts {
		nearest[c] = uint8(colors.Index(c))
	}
	small := image.NewPaletted(b, colors)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[full.RGBAAt(x, y)])
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
