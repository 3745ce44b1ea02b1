package certs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger returns a zap logger, as certmagic wants, that writes to log.
func newLogger(log *slog.Logger) *zap.Logger {
	return zap.New(&bridge{handler: log.Handler(), repeats: &repeats{seen: map[string]*repeat{}}})
}

// bridge is a [zapcore.Core] that hands lines to a [slog.Handler]. What certmagic
// calls info is debug here: it tells every step. Its own debug lines tell every
// handshake and are dropped.
//
// Only values of plain types pass. certmagic and its ACME client log whole
// requests and stores at times, and those might hold what nobody is to see.
type bridge struct {
	handler slog.Handler
	fields  []zapcore.Field
	repeats *repeats
}

var _ zapcore.Core = (*bridge)(nil)

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements [zapcore.LevelEnabler].
func (b *bridge) Enabled(l zapcore.Level) bool {
	return l > zapcore.DebugLevel && b.handler.Enabled(context.Background(), levelOf(l))
}

// With implements [zapcore.Core].
func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{b.handler, slices.Concat(b.fields, fields), b.repeats}
}

// Check implements [zapcore.Core].
func (b *bridge) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return checked.AddCore(e, b)
	}
	return checked
}

// Write implements [zapcore.Core].
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if slices.ContainsFunc(fields, givenUp) || !b.repeats.allow(e.Message, e.Time) {
		return nil
	}
	r := slog.NewRecord(e.Time, levelOf(e.Level), "certificates: "+e.Message, 0)
	for _, f := range slices.Concat(b.fields, fields) {
		if a, ok := attr(f); ok {
			r.AddAttrs(a)
		}
	}
	return b.handler.Handle(context.Background(), r)
}

// Sync implements [zapcore.Core].
func (b *bridge) Sync() error { return nil }

// givenUp reports whether a field is the error of what was ended because nobody
// needs it any more. To certmagic that is a failure.
func givenUp(f zapcore.Field) bool {
	err, ok := f.Interface.(error)
	return ok && errors.Is(err, context.Canceled)
}

// attr returns a field of a plain type.
func attr(f zapcore.Field) (slog.Attr, bool) {
	switch f.Type {
	case zapcore.StringType:
		return slog.String(f.Key, f.String), true
	case zapcore.ErrorType:
		err, ok := f.Interface.(error)
		return slog.Any(f.Key, err), ok
	case zapcore.ArrayMarshalerType: // lists of names
		e := zapcore.NewMapObjectEncoder()
		f.AddTo(e)
		list, ok := e.Fields[f.Key].([]any)
		return slog.Any(f.Key, list), ok
	case zapcore.DurationType:
		return slog.String(f.Key, time.Duration(f.Integer).Round(time.Millisecond).String()), true
	case zapcore.BoolType, zapcore.Int64Type, zapcore.Int32Type, zapcore.TimeType:
		e := zapcore.NewMapObjectEncoder()
		f.AddTo(e)
		return slog.Any(f.Key, e.Fields[f.Key]), true
	}
	return slog.Attr{}, false
}

// repeats drops lines of one message that come in a flood: some are caused by
// whoever connects.
type repeats struct {
	mu   sync.Mutex
	seen map[string]*repeat // by message; certmagic's are few
}

type repeat struct {
	since time.Time
	lines int
}

// A message is written so many times in so long.
const (
	repeatsMost = 20
	repeatsTime = time.Minute
)

func (r *repeats) allow(message string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seen[message]
	if s == nil || now.Sub(s.since) >= repeatsTime {
		s = &repeat{since: now}
		r.seen[message] = s
	}
	s.lines++
	return s.lines <= repeatsMost
}
