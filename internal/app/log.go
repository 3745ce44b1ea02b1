package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"attache/internal/terminal"
	"attache/refresher"
)

// NewLogger returns a logger in the format that the configuration asks for:
// "text", "json" or "auto", which writes lines for people to a terminal and JSON to
// anything else.
func NewLogger(format string, level slog.Leveler, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	switch {
	case format == "text":
		return slog.New(slog.NewTextHandler(w, options))
	case format == "auto" && terminal.Is(w):
		return slog.New(newPeopleHandler(w, options, terminal.Colors(w, os.Getenv)))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// logEvent writes what happens to tokens: failures as warnings, what needs
// nobody's attention at debug level. Events hold no secret.
func logEvent(log *slog.Logger, ev refresher.Event) {
	attrs := []slog.Attr{slog.String("credential", ev.Credential), slog.String("token", ev.Token)}
	level, text := slog.LevelDebug, ""
	switch ev.Kind {
	case refresher.LoggedIn:
		text = "logged in"
		if !ev.Keyed {
			level = slog.LevelInfo
		}
		attrs = append(attrs, slog.Uint64("generation", ev.Generation), millis("took_ms", ev.Duration), expiry(ev.ExpiresAt))
	case refresher.Adopted:
		text = "adopted a token from the store"
		if !ev.Keyed {
			level = slog.LevelInfo
		}
		attrs = append(attrs, slog.Uint64("generation", ev.Generation), expiry(ev.ExpiresAt))
	case refresher.LoginFailed:
		level, text = slog.LevelWarn, "login failed"
		attrs = append(attrs, slog.String("class", ev.Class.String()), slog.Int("failures", ev.Failures),
			slog.Time("next_attempt", ev.NextAttempt), slog.Any("error", ev.Err))
	case refresher.Refused:
		text = "the token was refused"
		if ev.Rejection == refresher.Renewing {
			level = slog.LevelInfo
		}
		attrs = append(attrs, slog.Uint64("generation", ev.Generation), slog.String("by", ev.By),
			slog.String("signal", ev.Signal.String()), slog.String("outcome", ev.Rejection.String()))
	case refresher.Renewed:
		text = "adopted a token that an answer carried"
		attrs = append(attrs, slog.Uint64("generation", ev.Generation), expiry(ev.ExpiresAt))
	case refresher.Evicted:
		text = "dropped an unused instance"
	case refresher.StoreFailed:
		level, text = slog.LevelWarn, "the token store failed; a token that is in memory is served all the same"
		attrs = append(attrs, slog.String("op", ev.Op), slog.Any("error", ev.Err))
	case refresher.Revoked:
		text = "revoked the token"
		if ev.Err != nil {
			level, text = slog.LevelWarn, "the token could not be revoked; it lives on until it expires"
			attrs = append(attrs, slog.Any("error", ev.Err))
		}
	}
	log.LogAttrs(context.Background(), level, text, attrs...)
}

// millis writes a duration so that its unit is known in JSON as well.
func millis(name string, d time.Duration) slog.Attr {
	return slog.Float64(name, float64(d.Microseconds())/1000)
}

func expiry(at time.Time) slog.Attr {
	if at.IsZero() {
		return slog.String("expires", "when refused")
	}
	return slog.Time("expires", at)
}
