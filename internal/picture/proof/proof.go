// Package proof reads pictures of package picture as a proofreader would: it says
// what cannot be read, on a light page or on a dark one, what overlaps or leaves
// the frame, and what is missing or has no place in a picture. It understands the
// few elements that package picture writes and finds fault with any other, so that
// nothing goes unread.
//
// How wide a text is it estimates, generously: see [picture.TextWidth].
package proof

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Least contrasts: WCAG 2.2, 1.4.3 and 1.4.11.
const (
	leastText    = 4.5
	leastGraphic = 3
)

// Read returns what is wrong with a picture, in the order of its elements.
func Read(svg string) []string {
	d := &document{}
	if err := d.parse(svg); err != nil {
		return append(d.faults, err.Error())
	}
	d.checkHead()
	for i := range d.shapes {
		d.checkContrast(i)
	}
	d.checkPlaces()
	return d.faults
}

// document is a picture that was read.
type document struct {
	root          map[string]string
	title, desc   string
	rules         map[string]style // by class
	shapes        []*shape
	faults        []string
	width, height float64
}

func (d *document) fault(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.faults, text) {
		d.faults = append(d.faults, text)
	}
}

// known lists the elements, and their attributes.
func known() map[string][]string {
	return map[string][]string{
		"svg":   {"xmlns", "viewBox", "width", "height", "role", "aria-labelledby", "font-family"},
		"title": {"id"},
		"desc":  {"id"},
		"style": {},
		"rect":  {"class", "x", "y", "width", "height", "rx"},
		"line":  {"class", "x1", "y1", "x2", "y2"},
		"path":  {"class", "d"},
		"text":  {"class", "x", "y", "text-anchor"},
	}
}

func (d *document) parse(svg string) error {
	decoder := xml.NewDecoder(strings.NewReader(svg))
	var open *xml.StartElement
	var text strings.Builder
	depth := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth > 2 || (t.Name.Local == "svg") != (depth == 1) {
				d.fault("<%s> is inside <%s>", t.Name.Local, nameOf(open))
			}
			start := t.Copy()
			open = &start
			text.Reset()
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if depth--; depth == 1 {
				d.element(*open, text.String())
			} else if depth == 0 && d.root == nil {
				d.element(*open, "")
			}
		case xml.ProcInst, xml.Directive:
			d.fault("there is an instruction before the picture")
		}
		if depth == 1 && open != nil && open.Name.Local == "svg" && d.root == nil {
			d.element(*open, "")
		}
	}
	if d.root == nil {
		return errors.New("this is no picture")
	}
	return nil
}

func nameOf(e *xml.StartElement) string {
	if e == nil {
		return "nothing"
	}
	return e.Name.Local
}

func (d *document) element(e xml.StartElement, text string) {
	name := e.Name.Local
	attributes := map[string]string{}
	for _, a := range e.Attr {
		if !slices.Contains(known()[name], a.Name.Local) || a.Name.Space != "" {
			d.fault("<%s> has an attribute %s", name, a.Name.Local)
		}
		attributes[a.Name.Local] = a.Value
	}
	switch name {
	case "svg":
		d.root = attributes
	case "title":
		d.title = text
	case "desc":
		d.desc = text
	case "style":
		d.parseStyle(text)
	case "rect", "line", "path", "text":
		d.shape(name, attributes, text)
	default:
		d.fault("<%s> has no place in a picture", name)
	}
}

var viewBox = regexp.MustCompile(`^0 0 ([0-9.]+) ([0-9.]+)$`)

// systemFonts may stand in a picture: those that a system has, or that stand for
// whichever it has.
func systemFonts() []string {
	return []string{"system-ui", "-apple-system", "Segoe UI", "DejaVu Sans", "Arial", "Helvetica", "sans-serif"}
}

func (d *document) checkHead() {
	if m := viewBox.FindStringSubmatch(d.root["viewBox"]); m == nil {
		d.fault("the viewBox is %q", d.root["viewBox"])
	} else if m[1] != d.root["width"] || m[2] != d.root["height"] {
		d.fault("the viewBox is %s, and the size %s by %s", d.root["viewBox"], d.root["width"], d.root["height"])
	} else {
		d.width, d.height = numberOf(m[1]), numberOf(m[2])
	}
	if d.root["role"] != "img" || d.root["aria-labelledby"] != "title desc" {
		d.fault("the picture does not name its title and description")
	}
	if len(strings.TrimSpace(d.title)) < 8 || len(strings.TrimSpace(d.desc)) < 40 {
		d.fault("the title is %q and the description %q: too short for who does not see it", d.title, d.desc)
	}
	for font := range strings.SplitSeq(d.root["font-family"], ",") {
		if font = strings.Trim(strings.TrimSpace(font), "'"); !slices.Contains(systemFonts(), font) {
			d.fault("the font %q is none of a system's", font)
		}
	}
}
