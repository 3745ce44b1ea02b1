package interop

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// grpcCases are the cases of gRPC's interoperability tests that need neither
// Google's credentials nor a balancer, by the names that gRPC gives them.
func grpcCases() map[string]func(context.Context, *grpc.ClientConn) {
	service := func(run func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
		return func(ctx context.Context, c *grpc.ClientConn) { run(ctx, testgrpc.NewTestServiceClient(c)) }
	}
	return map[string]func(context.Context, *grpc.ClientConn){
		"empty_unary":                 service(interop.DoEmptyUnaryCall),
		"large_unary":                 service(interop.DoLargeUnaryCall),
		"client_streaming":            service(interop.DoClientStreaming),
		"server_streaming":            service(interop.DoServerStreaming),
		"ping_pong":                   service(interop.DoPingPong),
		"empty_stream":                service(interop.DoEmptyStream),
		"timeout_on_sleeping_server":  service(interop.DoTimeoutOnSleepingServer),
		"cancel_after_begin":          service(interop.DoCancelAfterBegin),
		"cancel_after_first_response": service(interop.DoCancelAfterFirstResponse),
		"custom_metadata":             service(interop.DoCustomMetadata),
		"status_code_and_message":     service(interop.DoStatusCodeAndMessage),
		"special_status_message":      service(interop.DoSpecialStatusMessage),
		"unimplemented_method":        interop.DoUnimplementedMethod,
		"unimplemented_service": func(ctx context.Context, c *grpc.ClientConn) {
			interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(c))
		},
	}
}

// grpcChild runs one case against address. The cases end the process when they
// fail.
func grpcChild(ctx context.Context, address, name string) error {
	run := grpcCases()[name]
	if run == nil {
		return fmt.Errorf("there is no case %q", name)
	}
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer c.Close()
	// What attache has to replace. The case with metadata of its own leaves it out.
	run(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer of-the-client"), c)
	return nil
}

// grpcServer is the upstream: gRPC's own test server, which writes down what
// credentials every call came with.
type grpcServer struct {
	address string
	refuse  string // the value of authorization that is not accepted

	mu    sync.Mutex
	calls []grpcCall
}

type grpcCall struct {
	method        string
	authorization []string
}

func newGRPCServer(t *testing.T, refuse string) *grpcServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &grpcServer{address: listener.Addr().String(), refuse: refuse}
	server := grpc.NewServer(
		// Unlike an interceptor this sees calls of unknown methods too.
		grpc.InTapHandle(s.note),
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := s.check(ctx); err != nil {
				return nil, err
			}
			return handle(ctx, request)
		}),
		grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			return handle(service, checkedStream{stream, s})
		}),
	)
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return s
}

func (s *grpcServer) note(ctx context.Context, info *tap.Info) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, grpcCall{info.FullMethodName, info.Header.Get("authorization")})
	return ctx, nil
}

func (s *grpcServer) check(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, value := range md.Get("authorization") {
		if value == s.refuse {
			return status.Error(codes.Unauthenticated, "the token is not valid any more")
		}
	}
	return nil
}

// checkedStream refuses a call when its first message is here. A refusal of the
// head alone may overtake what the client still sends, and such a call cannot be
// sent again.
type checkedStream struct {
	grpc.ServerStream
	server *grpcServer
}

func (c checkedStream) RecvMsg(message any) error {
	if err := c.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	return c.server.check(c.Context())
}

// take returns the calls since it was called last.
func (s *grpcServer) take() []grpcCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// startForGRPC starts attache with a listener for gRPC in front of s.
func startForGRPC(t *testing.T, l lane, s *grpcServer, tokens *tokenServer, refused string) *attache {
	t.Helper()
	return l.start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: "http://%s", protocol: h2c, use: [c], replay: {max_body: 1MiB}}
`, tokens.recipe(t, "inject: [{header: Authorization, value: \"Bearer ${access}\"}]\n"+refused), s.address))
}

// TestGRPC runs gRPC's interoperability tests through attache.
func TestGRPC(t *testing.T) { inLanes(t, testGRPC) }

func testGRPC(t *testing.T, l lane) {
	server := newGRPCServer(t, "")
	a := startForGRPC(t, l, server, newTokenServer(t), "")
	line := suite{name: "grpc-go interoperability tests", version: moduleVersion(t, "google.golang.org/grpc"), lane: l, tests: len(grpcCases())}
	for name := range grpcCases() {
		t.Run(name, func(t *testing.T) {
			if out, err := child(t, "grpc", "ADDRESS="+a.address, "CASE="+name); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			calls := server.take()
			// These calls may be over before they are sent on.
			short := name == "timeout_on_sleeping_server" || name == "cancel_after_begin"
			if len(calls) == 0 && !short {
				t.Error("no call reached the upstream")
			}
			for _, call := range calls {
				if len(call.authorization) != 1 || call.authorization[0] != "Bearer token-1" {
					t.Errorf("%s came with authorization %q", call.method, call.authorization)
				}
			}
			if !t.Failed() {
				line.passed++
			}
		})
	}
	if !t.Failed() {
		record(t, line)
	}
}

// TestGRPCRepair: a server that refuses the token by its status is asked again
// with a new one, and the client sees nothing of it.
func TestGRPCRepair(t *testing.T) { inLanes(t, testGRPCRepair) }

func testGRPCRepair(t *testing.T, l lane) {
	cases := []string{"empty_unary", "large_unary", "server_streaming", "custom_metadata"}
	line := suite{name: "grpc-go, token refused by status 16", version: moduleVersion(t, "google.golang.org/grpc"), lane: l, tests: len(cases)}
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			server := newGRPCServer(t, "Bearer token-1")
			a := startForGRPC(t, l, server, newTokenServer(t), "refused: [{token: access, grpc: 16}]\n")
			if out, err := child(t, "grpc", "ADDRESS="+a.address, "CASE="+name); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			calls := server.take()
			if len(calls) < 2 || calls[0].authorization[0] != "Bearer token-1" || calls[len(calls)-1].authorization[0] != "Bearer token-2" {
				t.Errorf("the upstream got %v", calls)
			}
			if !t.Failed() {
				line.passed++
			}
		})
	}
	if !t.Failed() {
		record(t, line)
	}
}
