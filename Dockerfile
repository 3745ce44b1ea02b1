# An image of nothing but attache and the CA certificates:
#
#   docker build --build-arg VERSION=1.2.3 --build-arg REVISION=$(git rev-parse --short=12 HEAD) -t attache .
#   docker run -v ./attache.yaml:/etc/attache/attache.yaml:ro attache
#
# The build image is pinned by its tag, which follows the patch releases of
# Go 1.26: a rebuild takes up their security fixes. Where the same bytes matter
# more, append the digest of an image that you have checked (@sha256:…).
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src

# The modules change seldom; a layer of their own keeps them across builds.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown
# No cgo, so that the binary needs no C library; no paths of the build machine
# in it; no symbol tables; no inlining in packages that no request passes
# through, and functions close together (see the Makefile). internal/archtest runs this very command.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -buildvcs=false -trimpath \
    -gcflags github.com/caddyserver/...=-l -gcflags github.com/mholt/...=-l -gcflags github.com/miekg/...=-l \
    -gcflags github.com/zeebo/...=-l -gcflags go.uber.org/...=-l -gcflags github.com/redis/...=-l \
    -gcflags github.com/spf13/...=-l -gcflags go.yaml.in/...=-l -gcflags google.golang.org/...=-l \
    -gcflags github.com/klauspost/...=-l -gcflags github.com/prometheus/common/...=-l -gcflags github.com/prometheus/procfs/...=-l \
    -gcflags github.com/fsnotify/...=-l -gcflags attache/cmd/...=-l -gcflags attache/internal/emulator=-l -gcflags attache/internal/yamldoc=-l \
    -ldflags "-s -w -funcalign 16 -X main.version=$VERSION -X main.revision=$REVISION" -o /attache ./cmd/attache

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /attache /attache
# By number: Kubernetes' runAsNonRoot cannot look up names in an image without
# /etc/passwd.
USER 65532:65532
# 8484: the proxy; 8485: admin; 8486: probes. The proxy and admin listeners stay
# on loopback unless the configuration says otherwise, which is what a sidecar
# wants; probes are for the kubelet and Prometheus.
EXPOSE 8484 8485 8486
ENTRYPOINT ["/attache"]
CMD ["run", "-c", "/etc/attache/attache.yaml"]
