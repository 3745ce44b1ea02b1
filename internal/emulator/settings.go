package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Duration is a [time.Duration] that is written "1m30s" in JSON.
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON reads a string as [time.ParseDuration] does.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	err := json.Unmarshal(data, &text)
	v, parseErr := time.ParseDuration(text)
	if err != nil || parseErr != nil {
		return fmt.Errorf(`duration %s: write it like "30s" or "1m30s"`, data)
	}
	*d = Duration(v)
	return nil
}

// Fault is what goes wrong with an answer.
type Fault string

// The faults of a [Trouble].
const (
	NoFault        Fault = ""           // the ordinary answer
	FaultDown      Fault = "down"       // the vendor's own server error; Status makes it an HTTP error
	FaultThrottle  Fault = "throttle"   // 429, Retry-After and the vendor's code; Status 200: the code alone
	FaultDeny      Fault = "deny"       // logins: the credentials are refused for good; calls: permission is, though the token is good
	FaultHTML      Fault = "html"       // an HTML page, with status 200 if Status says nothing else
	FaultTruncated Fault = "truncated"  // the first half of the ordinary answer
	FaultEmpty     Fault = "empty"      // the ordinary status without a body
	FaultLineBreak Fault = "line_break" // logins: a token with a line break inside
	FaultEndless   Fault = "endless"    // an answer of 4 GB that starts like JSON
	FaultDrop      Fault = "drop"       // the connection closes without an answer
)

var faults = [...]Fault{NoFault, FaultDown, FaultThrottle, FaultDeny, FaultHTML,
	FaultTruncated, FaultEmpty, FaultLineBreak, FaultEndless, FaultDrop}

// Trouble is a disturbance of logins or of API calls. The zero value is none.
// In JSON a trouble replaces the one before as a whole, and {} ends it.
type Trouble struct {
	Fault Fault `json:"fault,omitzero"`
	// Status is the HTTP status instead of the fault's own; 0: its own.
	Status int `json:"status,omitzero"`
	// RetryAfter is what a throttled answer asks for, in whole seconds; 0: no
	// such header.
	RetryAfter Duration `json:"retry_after,omitzero"`
	// Delay is a wait before the answer. A login does its work after it, a call
	// before: a token is judged when its request arrives, so that a slow answer
	// may be a late one.
	Delay Duration `json:"delay,omitzero"`
	// Only restricts the trouble to one kind of token (logins) or to one
	// handler's calls (see [Emulator.Handler]); "": all.
	Only string `json:"only,omitzero"`
	// Path restricts the trouble to paths with this prefix, without the
	// handler's own prefix; "": all.
	Path string `json:"path,omitzero"`
	// For ends the trouble after a time; when it is set it becomes Until.
	For Duration `json:"for,omitzero"`
	// Until is when the trouble ends; zero: when it is switched off.
	Until time.Time `json:"until,omitzero"`
	// Times ends the trouble after so many disturbed requests; 0: never.
	Times int `json:"times,omitzero"`
}

// UnmarshalJSON replaces the whole trouble.
func (t *Trouble) UnmarshalJSON(data []byte) error {
	type plain Trouble // without this method
	var p plain
	if err := decodeStrict(data, &p); err != nil {
		return err
	}
	*t = Trouble(p)
	return nil
}

func (t Trouble) check(where string) error {
	switch {
	case !slices.Contains(faults[:], t.Fault):
		return fmt.Errorf("%s.fault: %q is none of %s", where, t.Fault, list(faults[1:]))
	case t.Status != 0 && (t.Status < 200 || t.Status > 599):
		return fmt.Errorf("%s.status: %d is not a status from 200 to 599", where, t.Status)
	case t.RetryAfter < 0 || t.Delay < 0 || t.For < 0 || t.Times < 0:
		return fmt.Errorf("%s: times and counts cannot be negative", where)
	}
	return nil
}

// Lifetime is what a login says about the lifetime of its token. The token
// itself lives as ever.
type Lifetime string

// The lifetimes that a login may state.
const (
	LifetimeTrue     Lifetime = ""         // the true one
	LifetimeMissing  Lifetime = "missing"  // the member is left out
	LifetimeZero     Lifetime = "zero"     // 0
	LifetimeNegative Lifetime = "negative" // -1
	LifetimePast     Lifetime = "past"     // an hour ago; -3600 where it is relative
	LifetimeHuge     Lifetime = "huge"     // 10^12 seconds
	LifetimeString   Lifetime = "string"   // the true one as a JSON string
	LifetimeNumber   Lifetime = "number"   // the true one as a JSON number
)

var lifetimes = [...]Lifetime{LifetimeTrue, LifetimeMissing, LifetimeZero, LifetimeNegative,
	LifetimePast, LifetimeHuge, LifetimeString, LifetimeNumber}

// member returns `,"name":value` for a lifetime of n units from base on (base 0:
// relative), or "" when it is to be missing. perSecond is the number of units in
// a second, quoted the vendor's habit.
func (l Lifetime) member(name string, base, n, perSecond int64, quoted bool) string {
	v := base + n
	switch l {
	case LifetimeMissing:
		return ""
	case LifetimeZero:
		v = 0
	case LifetimeNegative:
		v = -1
	case LifetimePast:
		v = base - 3600*perSecond
	case LifetimeHuge:
		v = base + 1e12*perSecond
	case LifetimeString:
		quoted = true
	case LifetimeNumber:
		quoted = false
	}
	if quoted {
		return fmt.Sprintf(`,"%s":"%d"`, name, v)
	}
	return fmt.Sprintf(`,"%s":%d`, name, v)
}

// Gzip says when answers are compressed.
type Gzip string

// The choices of [Settings.Gzip].
const (
	GzipVendor   Gzip = ""         // as the vendor does: OpenIM when accepted, others never
	GzipOff      Gzip = "off"      // never
	GzipAccepted Gzip = "accepted" // when the request accepts it
	GzipAlways   Gzip = "always"   // even when it does not
)

// Settings is how the vendor behaves just now: faults, and the switches for what
// its documentation leaves open. [Emulator.Settings] returns the present ones,
// [Emulator.Change] changes them; in JSON only the members given are changed.
// Switches of other vendors have no effect.
type Settings struct {
	// TTL is how long every token lives, from 1s on; 0: as the vendor has it
	// (see the package comment). Tokens already issued keep their time.
	TTL Duration `json:"ttl"`
	// Login disturbs logins.
	Login Trouble `json:"login"`
	// API disturbs all other calls.
	API Trouble `json:"api"`
	// Lifetime is what logins say about the lifetime.
	Lifetime Lifetime `json:"lifetime"`
	// SameToken makes logins return the account's last token again, however bad
	// it became, with the lifetime of a new one.
	SameToken bool `json:"same_token"`
	// TokenSize makes new tokens at least so many bytes long, up to 64 KiB; 0:
	// the vendor's own length.
	TokenSize int `json:"token_size"`
	// Gzip says when answers are compressed.
	Gzip Gzip `json:"gzip"`
	// ContentType replaces that of all JSON answers; "": the vendor's.
	ContentType string `json:"content_type"`
	// HTTP401 makes two refusals that hide in HTTP 200 an HTTP 401 as well: those
	// of UMS credentials (4005) and of Qiniu tokens.
	HTTP401 bool `json:"http_401"`
	// Early makes calls be answered before their body was read.
	Early bool `json:"early"`

	// The switches of single vendors.

	UMS      UMSSettings      `json:"ums"`
	WeChat   WeChatSettings   `json:"wechat"`
	DingTalk DingTalkSettings `json:"dingtalk"`
	Qiniu    QiniuSettings    `json:"qiniu-im"`
	AICC     AICCSettings     `json:"huawei-aicc"`
	OpenIM   OpenIMSettings   `json:"openim"`
	OAuth2   OAuth2Settings   `json:"oauth2"`
}

func defaultSettings() Settings {
	return Settings{
		UMS:    UMSSettings{Mode: SameUntil, SameUntil: Duration(5 * time.Minute), Overlap: Duration(5 * time.Minute)},
		Qiniu:  QiniuSettings{WrongPassword: 10000},
		AICC:   AICCSettings{Renew: RenewExpired, Grace: Duration(30 * time.Second), Session: Duration(time.Minute), ErrorBody: ErrorStandard},
		OpenIM: OpenIMSettings{Version: OpenIM37, KickPolicy: 1},
	}
}

// check returns everything that is wrong with the settings.
func (s Settings) check() error {
	var errs []error
	if s.TTL != 0 && s.TTL < Duration(time.Second) {
		errs = append(errs, fmt.Errorf("ttl: %s is too short; the vendors count in seconds, give 1s or more", time.Duration(s.TTL)))
	}
	if s.TokenSize < 0 || s.TokenSize > 64<<10 {
		errs = append(errs, fmt.Errorf("token_size: %d is not between 0 and 65536", s.TokenSize))
	}
	if s.UMS.SameUntil < 0 || s.UMS.Overlap < 0 || s.AICC.Grace < 0 || s.AICC.Session < 0 {
		errs = append(errs, errors.New("durations cannot be negative"))
	}
	if strings.ContainsAny(s.ContentType, "\r\n") {
		errs = append(errs, errors.New("content_type: contains a line break"))
	}
	errs = append(errs, s.Login.check("login"), s.API.check("api"),
		oneOf("lifetime", s.Lifetime, lifetimes[:]),
		oneOf("gzip", s.Gzip, []Gzip{GzipVendor, GzipOff, GzipAccepted, GzipAlways}),
		oneOf("ums.mode", s.UMS.Mode, []UMSMode{SameUntil, RotateWithOverlap, RotateImmediate}),
		oneOf("huawei-aicc.renew", s.AICC.Renew, []Renew{RenewOff, RenewExpired, RenewAlways}),
		oneOf("huawei-aicc.error_body", s.AICC.ErrorBody, []ErrorBody{ErrorStandard, ErrorResult, ErrorEmpty}),
		oneOf("openim.version", s.OpenIM.Version, openIMVersions()),
		oneOf("openim.kick_policy", s.OpenIM.KickPolicy, []int{0, 1, 4}))
	return errors.Join(errs...)
}

func oneOf[T comparable](where string, v T, allowed []T) error {
	if slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("%s: %v is none of %s", where, v, list(allowed))
}

// list returns the values for a message; the empty text is left out.
func list[T any](values []T) string {
	var texts []string
	for _, v := range values {
		if text := fmt.Sprint(v); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// decodeStrict decodes exactly one JSON value onto v and takes unknown members
// for mistakes.
func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s: a %s does not fit here", strings.TrimPrefix(t.Field, "Settings."), t.Value)
		}
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more after the JSON value")
	}
	return nil
}
