package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"attache/internal/terminal"
)

// peopleHandler writes a log for people at a terminal: the time of day, the level,
// the message, and the attributes as [slog.TextHandler] writes them, which quotes
// what is no text.
type peopleHandler struct {
	slog.Handler // writes the attributes to text
	out          *peopleLog
}

// peopleLog is what a handler and those derived from it share.
type peopleLog struct {
	mu    sync.Mutex
	w     io.Writer
	paint terminal.Painter
	text  bytes.Buffer
}

func newPeopleHandler(w io.Writer, options *slog.HandlerOptions, paint terminal.Painter) slog.Handler {
	out := &peopleLog{w: w, paint: paint}
	attributes := *options
	attributes.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey):
			return slog.Attr{} // stands in front
		case a.Value.Kind() == slog.KindTime:
			a.Value = slog.StringValue(moment(time.Now(), a.Value.Time()))
		}
		return a
	}
	return &peopleHandler{slog.NewTextHandler(&out.text, &attributes), out}
}

// moment is the time of day, of another day with the date.
func moment(now, t time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02T15:04:05")
}

// Handle implements [slog.Handler].
func (h *peopleHandler) Handle(ctx context.Context, r slog.Record) error {
	attributes, err := h.attributes(ctx, r)
	if err != nil {
		return err
	}
	paint := h.out.paint
	style := map[slog.Level]terminal.Style{slog.LevelDebug: terminal.Faint, slog.LevelWarn: terminal.Notice, slog.LevelError: terminal.Bad}[r.Level]
	front := moment(r.Time, r.Time) + " " + paint.Paint(style, terminal.Left(r.Level.String(), levelColumns)) + " "
	message, attributes := terminal.OneLine(r.Message), strings.TrimSuffix(attributes, "\n")
	_, err = io.WriteString(h.out.w, front+h.out.fit(message, attributes)+"\n") // one write, as a whole
	return err
}

// levelColumns is how wide the longest level is.
const levelColumns = len("ERROR")

// fit puts message and attributes behind what stands in front of them. What does not
// fit into the terminal's line goes on in indented ones, without tearing words
// apart.
func (o *peopleLog) fit(message, attributes string) string {
	const indent = "    "
	columns := terminal.Columns(o.w)
	room := columns - len(time.TimeOnly+" ") - levelColumns - 1
	if attributes != "" {
		attributes = "  " + attributes
	}
	if columns == 0 || terminal.Width(message+attributes) <= room {
		return o.paint.Paint(terminal.Bold, message) + attributes
	}
	rows := terminal.Wrap(message, room, 0)
	if len(rows) > 1 {
		rows = append(rows[:1], terminal.Wrap(message[len(rows[0]):], columns-len(indent), 0)...)
	}
	for i := range rows {
		rows[i] = o.paint.Paint(terminal.Bold, rows[i])
	}
	rows = append(rows, terminal.Wrap(attributes, columns-len(indent), 0)...)
	return strings.Join(rows, "\n"+indent)
}

// attributes returns what a record has beside its message, as one line.
func (h *peopleHandler) attributes(ctx context.Context, r slog.Record) (string, error) {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.text.Reset()
	err := h.Handler.Handle(ctx, r)
	return h.out.text.String(), err
}

// WithAttrs implements [slog.Handler].
func (h *peopleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &peopleHandler{h.Handler.WithAttrs(attrs), h.out}
}

// WithGroup implements [slog.Handler].
func (h *peopleHandler) WithGroup(name string) slog.Handler {
	return &peopleHandler{h.Handler.WithGroup(name), h.out}
}
