package page

import (
	"fmt"
	"time"
)

// moment is when every page of these tests is looked at.
var moment = time.Date(2026, time.November, 27, 13, 2, 40, 0, time.UTC)

// The answer of /api/status; TestFixturesAreAnswers holds it against attache's.
type (
	document struct {
		Version  string    `json:"version"`
		Revision string    `json:"revision"`
		Go       string    `json:"go_version,omitempty"`
		Now      time.Time `json:"now"`
		Started  time.Time `json:"started"`
		Renew    bool      `json:"renew"`
		Config   config    `json:"config"`
		Health   health    `json:"health"`
		Tokens   []token   `json:"tokens"`
		Routes   []route   `json:"routes"`
	}
	config struct {
		File       string    `json:"file"`
		Loaded     time.Time `json:"loaded"`
		LastReload *reload   `json:"last_reload,omitempty"`
	}
	reload struct {
		At    time.Time `json:"at"`
		OK    bool      `json:"ok"`
		Error string    `json:"error,omitempty"`
	}
	health struct {
		Startup  bool `json:"startup"`
		Ready    bool `json:"ready"`
		Live     bool `json:"live"`
		Draining bool `json:"draining"`
	}
	token struct {
		Credential  string         `json:"credential"`
		Token       string         `json:"token"`
		Recipe      string         `json:"recipe"`
		Required    bool           `json:"required"`
		Keyed       bool           `json:"keyed"`
		Waiters     int            `json:"waiters"`
		Failures    int            `json:"failures"`
		Phase       string         `json:"phase,omitempty"`
		Generation  int            `json:"generation,omitempty"`
		Issued      time.Time      `json:"issued,omitzero"`
		Expires     time.Time      `json:"expires,omitzero"`
		Due         time.Time      `json:"due,omitzero"`
		NextAttempt time.Time      `json:"next_attempt,omitzero"`
		LastSuccess time.Time      `json:"last_success,omitzero"`
		LastError   *failure       `json:"last_error,omitempty"`
		Instances   int            `json:"instances,omitempty"`
		Phases      map[string]int `json:"phases,omitempty"`
		Marks       []mark         `json:"marks"`
	}
	failure struct {
		Class  string `json:"class"`
		Text   string `json:"text"`
		Advice string `json:"advice"`
	}
	mark struct {
		At      time.Time `json:"at"`
		Kind    string    `json:"kind"`
		Outcome string    `json:"outcome,omitempty"`
	}
	route struct {
		Name        string   `json:"name"`
		Host        string   `json:"host,omitempty"`
		Path        string   `json:"path,omitempty"`
		Methods     []string `json:"methods,omitempty"`
		Upstream    string   `json:"upstream"`
		Credentials []string `json:"credentials"`
		Optional    bool     `json:"optional"`
		Requests    int      `json:"requests"`
		Errors      int      `json:"errors"`
		Replays     int      `json:"replays"`
		Unavailable int      `json:"unavailable"`
		Duration    duration `json:"duration"`
	}
	duration struct {
		Count   int      `json:"count"`
		Sum     float64  `json:"sum"`
		Buckets []bucket `json:"buckets"`
	}
	bucket struct {
		LE    float64 `json:"le"`
		Count int     `json:"count"`
	}
	event map[string]any
)

func in(d time.Duration) time.Time  { return moment.Add(d) }
func ago(d time.Duration) time.Time { return moment.Add(-d) }

// well is attache as the demo configures it, with the times of real vendors, and
// nothing wrong.
func well() document {
	return document{
		Version: "0.1.0", Revision: "54f9c4f0a1b2", Now: moment, Started: ago(3*time.Hour + 41*time.Minute), Renew: true,
		Config: config{File: "/etc/attache/attache.yaml", Loaded: ago(52 * time.Minute), LastReload: &reload{At: ago(52 * time.Minute), OK: true}},
		Health: health{Startup: true, Ready: true, Live: true},
		Tokens: []token{
			{Credential: "aicc", Token: "access", Recipe: "huawei-aicc", Required: true, Phase: "fresh", Generation: 9,
				Issued: ago(31 * time.Minute), Due: in(22 * time.Minute), NextAttempt: in(22 * time.Minute), Expires: in(29 * time.Minute),
				Marks: []mark{{ago(84 * time.Minute), "logged_in", ""}, {ago(31 * time.Minute), "logged_in", ""}}},
			{Credential: "aicc", Token: "messaging", Recipe: "huawei-aicc", Keyed: true, Instances: 214, Waiters: 1,
				Phases: map[string]int{"fresh": 187, "due": 21, "empty": 6, "expired": 0, "blocked": 0}, Marks: []mark{}},
			{Credential: "openim", Token: "user", Recipe: "openim", Required: true, Phase: "fresh", Generation: 2,
				Issued: ago(26 * time.Hour), Due: in(46 * 24 * time.Hour), NextAttempt: in(46 * 24 * time.Hour), Expires: in(88 * 24 * time.Hour),
				Marks: []mark{{ago(26 * time.Hour), "logged_in", ""}}},
			{Credential: "qiniu", Token: "access", Recipe: "qiniu-im", Required: true, Phase: "fresh", Generation: 14,
				Issued: ago(43 * time.Minute), Due: in(57 * time.Minute), NextAttempt: in(57 * time.Minute), Expires: in(77 * time.Minute),
				Marks: []mark{{ago(55 * time.Minute), "refused", "renewed"}, {ago(43 * time.Minute), "refused", "renewed"}, {ago(42*time.Minute + 50*time.Second), "logged_in", ""}, {ago(19 * time.Minute), "renewed", ""}}},
			{Credential: "wechat", Token: "channel", Recipe: "jiguang-ums", Required: true, Phase: "fresh", Generation: 3,
				Issued: ago(74 * time.Minute), Due: in(22*time.Minute + 10*time.Second), NextAttempt: in(22 * time.Minute), Expires: in(46 * time.Minute),
				Marks: []mark{{ago(74 * time.Minute), "logged_in", ""}, {ago(34 * time.Minute), "adopted", ""}}},
		},
		Routes: []route{
			traffic("wechat", "/wechat", "https://api.weixin.qq.com", "wechat", 182340, 0.041),
			traffic("qiniu", "/qiniu", "https://api.maximtop.com", "qiniu", 51022, 0.018),
			traffic("aicc", "/aicc", "https://service.besclouds.com/apiaccess/ccmessaging", "aicc", 9130, 0.094),
			traffic("openim", "/openim", "http://openim-api:10002", "openim", 7, 0.0042),
		},
	}
}

var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// traffic is a route that served n requests, most of which took about typical
// seconds.
func traffic(name, path, upstream, credential string, n int, typical float64) route {
	return route{Name: name, Path: path, Upstream: upstream, Credentials: []string{credential},
		Requests: n, Replays: n / 17000, Duration: durations(n, typical)}
}

func durations(n int, typical float64) duration {
	d := duration{Count: n, Sum: float64(n) * typical}
	for _, le := range bounds {
		share := 1.0
		switch {
		case le < typical/2:
			share = 0
		case le < typical:
			share = 0.18
		case le < 2*typical:
			share = 0.81
		case le < 4*typical:
			share = 0.97
		}
		d.Buckets = append(d.Buckets, bucket{le, int(share * float64(n))})
	}
	return d
}

// goOn lets two seconds pass in which requests are served, and returns how.
func (d *document) serveMore(perSecond ...int) {
	d.Now = d.Now.Add(2 * time.Second)
	for i := range d.Routes {
		r := &d.Routes[i]
		typical := r.Duration.Sum / float64(max(1, r.Duration.Count))
		r.Requests += 2 * perSecond[i%len(perSecond)]
		r.Duration = durations(r.Requests, typical)
	}
}

// happened are events that go with well.
func happened() []event {
	return []event{
		{"id": 1, "at": ago(84 * time.Minute), "kind": "logged_in", "credential": "aicc", "token": "access", "generation": 8, "expires": ago(24 * time.Minute), "took_ms": 212},
		{"id": 2, "at": ago(74 * time.Minute), "kind": "logged_in", "credential": "wechat", "token": "channel", "generation": 2, "expires": in(46 * time.Minute), "took_ms": 88},
		{"id": 3, "at": ago(52 * time.Minute), "kind": "reloaded", "file": "/etc/attache/attache.yaml"},
		{"id": 4, "at": ago(43 * time.Minute), "kind": "refused", "credential": "qiniu", "token": "access", "signal": "body", "by": "qiniu", "outcome": "renewed"},
		{"id": 5, "at": ago(42*time.Minute + 50*time.Second), "kind": "logged_in", "credential": "qiniu", "token": "access", "generation": 14, "expires": in(77 * time.Minute), "took_ms": 141},
		{"id": 6, "at": ago(34 * time.Minute), "kind": "adopted", "credential": "wechat", "token": "channel", "generation": 3, "expires": in(46 * time.Minute)},
		{"id": 7, "at": ago(31 * time.Minute), "kind": "logged_in", "credential": "aicc", "token": "access", "generation": 9, "expires": in(29 * time.Minute), "took_ms": 198},
		{"id": 8, "at": ago(19 * time.Minute), "kind": "renewed", "credential": "qiniu", "token": "access", "generation": 14, "expires": in(77 * time.Minute)},
		{"id": 9, "at": ago(11 * time.Minute), "kind": "evicted", "credential": "aicc", "token": "messaging"},
		{"id": 10, "at": ago(4 * time.Minute), "kind": "refused", "credential": "aicc", "token": "messaging", "signal": "status", "by": "aicc", "outcome": "stale"},
	}
}

// dueState has a token whose renewal is due.
func dueState() document {
	d := well()
	t := &d.Tokens[0]
	t.Phase, t.Issued, t.Due, t.NextAttempt, t.Expires = "due", ago(54*time.Minute), ago(12*time.Second), in(3*time.Second), in(6*time.Minute)
	t.Marks = []mark{{ago(54 * time.Minute), "logged_in", ""}}
	return d
}

// failing has a token that serves while its logins fail, and one that ran out.
func failing() document {
	d := well()
	t := &d.Tokens[3]
	t.Phase, t.Failures = "due", 3
	t.Issued, t.Due, t.NextAttempt, t.Expires = ago(104*time.Minute), ago(4*time.Minute), in(52*time.Second), in(16*time.Minute)
	t.Marks = []mark{{ago(104 * time.Minute), "logged_in", ""}, {ago(61 * time.Minute), "refused", "stale"}, {ago(4 * time.Minute), "login_failed", ""},
		{ago(3 * time.Minute), "login_failed", ""}, {ago(70 * time.Second), "login_failed", ""}}
	t.LastError = &failure{"transient", `login answered 502: "<html><head><title>502 Bad Gateway</title>"`,
		"The vendor's login does not work, or cannot be reached. attache goes on trying; the token serves until it expires."}
	t = &d.Tokens[0]
	t.Phase, t.Failures, t.Waiters = "expired", 9, 4
	t.Issued, t.Due, t.NextAttempt, t.Expires = ago(66*time.Minute), ago(13*time.Minute), in(4*time.Second), ago(6*time.Minute)
	t.Marks = []mark{{ago(66 * time.Minute), "logged_in", ""}, {ago(13 * time.Minute), "login_failed", ""}, {ago(11 * time.Minute), "login_failed", ""},
		{ago(8 * time.Minute), "login_failed", ""}, {ago(4 * time.Minute), "login_failed", ""}, {ago(1 * time.Minute), "login_failed", ""}}
	t.LastError = &failure{"throttled", "login answered 429, Retry-After 60", "The vendor asks for fewer logins. Nothing has to be done; attache waits as long as it asks for."}
	return d
}

// blocked has a login that the vendor refuses for good, a failed reload, and a
// token that is not there yet.
func blocked() document {
	d := well()
	d.Config.LastReload = &reload{At: ago(7 * time.Minute), Error: "/etc/attache/attache.yaml:12:9: credentials.wechat.with: there is no parameter \"chanel_key\"; did you mean channel_key?"}
	d.Health.Startup, d.Health.Ready = false, false
	t := &d.Tokens[4]
	t.Phase, t.Failures = "blocked", 1
	t.Marks = append(t.Marks, mark{ago(2 * time.Minute), "refused", "over_budget"}, mark{ago(90 * time.Second), "login_failed", ""})
	t.NextAttempt = time.Time{}
	t.LastError = &failure{"permanent", "login answered 200: errcode 40125: invalid appsecret",
		"The vendor refuses these secrets. Compare channel_key and master_secret with the vendor's console; a corrected secret is taken up by itself."}
	d.Tokens[2] = token{Credential: "openim", Token: "user", Recipe: "openim", Required: true, Phase: "empty", Waiters: 12, Failures: 2,
		NextAttempt: in(8 * time.Second), Marks: []mark{{ago(20 * time.Second), "login_failed", ""}, {ago(9 * time.Second), "login_failed", ""}},
		LastError: &failure{"transient", "dial tcp 10.0.4.17:10002: connect: connection refused", "The address cannot be reached. Look at endpoint, DNS and network policies."}}
	return d
}

// crowd has n credentials in all states.
func crowd(n int) document {
	d := well()
	kinds := append(append(d.Tokens, failing().Tokens[0], failing().Tokens[3]), blocked().Tokens[4], dueState().Tokens[0])
	d.Tokens = nil
	for i := range n {
		t := kinds[i%5]
		if i%29 == 7 {
			t = kinds[5+i/29%4]
		}
		t.Credential = fmt.Sprintf("%s-%03d", t.Credential, i+1)
		d.Tokens = append(d.Tokens, t)
	}
	return d
}
