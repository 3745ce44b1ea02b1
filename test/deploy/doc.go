// Package deploy checks what examples/kubernetes, examples/systemd and
// examples/compose have, without a cluster, a Docker daemon or a service manager:
//
//   - every manifest, rendered by Kustomize's and Helm's own libraries, against the
//     schemas of Kubernetes and of the Prometheus operator, as kubeconform does it
//   - every pod against the Pod Security Standard "restricted", by the code with which
//     the API server decides it
//   - what no schema knows: selectors, ports, volumes, and the times of stopping
//   - every attache.yaml in them with `attache check`
//   - the chart's values against its schema, the systemd unit with systemd-analyze,
//     the compose file with Compose's own loader
//
// For each of these validators there is a test that it refuses something. It is a
// module of its own, so that what it needs is no dependency of attache. `make interop`
// runs it.
package deploy
