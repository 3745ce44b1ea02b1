package recipe

import (
	"net/http"
	"testing"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

func grpcMatcher(t *testing.T, text string) *matcher {
	t.Helper()
	rep := &yamldoc.Report{}
	root, _ := yamldoc.Parse(rep, "f", []byte(text))
	m := parseMatcher(root.Object(matcherShape()), &Recipe{})
	if err := rep.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGRPCMatcher(t *testing.T) {
	for _, tt := range []struct {
		matcher, head, trailer string
		want                   bool
	}{
		{"grpc: 16", "16", "", true},
		{"grpc: 16", "", "16", true},
		{"grpc: unauthenticated", "16", "", true},
		{"grpc: UNAUTHENTICATED", "", "16", true},
		{"grpc: [7, unauthenticated]", "7", "", true},
		{"grpc: [permission_denied, 16]", "", "7", true},
		{"grpc: [7, 16]", "14", "", false},
		{"grpc: 1", "16", "", false},
		{"grpc: 16", "0", "16", false}, // the head says it all
		{"grpc: 16", "", "", false},
		{"grpc: 16", "", "0", false},
		{"grpc: 16", "48", "", false},
		{"grpc: 16", "-16", "", false},
		{"grpc: 16", "16 ", "", false},
		{"grpc: 16", "1e1", "", false},
		{"{grpc: 16, status: 200}", "16", "", true},
		{"{grpc: 16, status: 401}", "16", "", false},
		{"{grpc: 16, header: {X-Reason: token}}", "", "16", true},
		{"{grpc: 16, header: {X-Reason: other}}", "", "16", false},
		{"{grpc: 16, not_path: /svc/**}", "16", "", false},
	} {
		a := &answer{path: "/svc/Method", status: 200, header: http.Header{"X-Reason": {"token"}}}
		if tt.head != "" {
			a.header.(http.Header)["Grpc-Status"] = []string{tt.head}
		}
		if tt.trailer != "" {
			a.trailer = http.Header{"Grpc-Status": {tt.trailer}, "X-Reason": {"other"}}
		}
		if got := grpcMatcher(t, tt.matcher).match(a); got != tt.want {
			t.Errorf("%s, head %q, trailer %q: %v, want %v", tt.matcher, tt.head, tt.trailer, got, tt.want)
		}
	}
}

// TestEveryGRPCName: each name is its own code and no other.
func TestEveryGRPCName(t *testing.T) {
	for code, name := range grpcCodes() {
		if code == 0 {
			continue
		}
		if got := grpcMatcher(t, "grpc: "+name).grpc; got != 1<<code {
			t.Errorf("%s is %b, want code %d", name, got, code)
		}
	}
}

// TestGRPCVerdict: a refusal is told from the head or the trailer, with a signal
// of its own; a rule about a header that is absent is none about the trailer.
func TestGRPCVerdict(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
  b: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject:
  - {header: A, value: "${a}"}
  - {header: B, value: "${b}"}
refused:
  - {token: a, status: 401}
  - {token: b, grpc: permission_denied}
  - {token: a, grpc: 16}
  - {token: a, header: {X-Ok: null}}
`
	p := loadConfig(t, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan
	if !p.HasTrailerRules() || p.HasBodyRules() {
		t.Errorf("trailers %v, bodies %v", p.HasTrailerRules(), p.HasBodyRules())
	}
	for _, tt := range []struct {
		status  int
		header  []string
		trailer exchange.Getter
		want    []exchange.Refusal
	}{
		{200, []string{"X-Ok", "1"}, nil, nil},
		{200, []string{"X-Ok", "1"}, http.Header(nil), nil},
		{200, []string{"X-Ok", "1", "Grpc-Status", "16"}, nil, []exchange.Refusal{{Slot: 0, Signal: exchange.SignalGRPC}}},
		{200, []string{"X-Ok", "1"}, http.Header{"Grpc-Status": {"16"}}, []exchange.Refusal{{Slot: 0, Signal: exchange.SignalGRPC}}},
		{200, []string{"X-Ok", "1"}, http.Header{"Grpc-Status": {"7"}}, []exchange.Refusal{{Slot: 1, Signal: exchange.SignalGRPC}}},
		{200, []string{"X-Ok", "1"}, http.Header{"Grpc-Status": {"0"}}, nil},
		{401, []string{"X-Ok", "1"}, nil, []exchange.Refusal{{Slot: 0, Signal: exchange.SignalStatus}}},
	} {
		ans := answerHead(tt.status, "application/grpc", tt.header...)
		ans.Trailer = tt.trailer
		got := p.Judge(exchange.Head{Method: "POST", Path: "/svc/M"}, ans, nil).Refused
		if len(got) != len(tt.want) || len(got) == 1 && got[0] != tt.want[0] {
			t.Errorf("%d %v %v: %v, want %v", tt.status, tt.header, tt.trailer, got, tt.want)
		}
	}
	const plain = "recipe: x\ntokens: {a: {request: {url: \"https://h/\"}, value: {json: t}, lifetime: 1h}}\n" +
		"inject: [{header: A, value: \"${a}\"}]\nrefused: [{token: a, status: 401}]\n"
	if loadConfig(t, plain, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n").plan.HasTrailerRules() {
		t.Error("trailer rules where there are none")
	}
}
