{{/* The name of everything, at most 63 characters. */}}
{{- define "attache.name" -}}
{{- if contains "attache" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-attache" (.Release.Name | trunc 55 | trimSuffix "-") }}{{ end }}
{{- end }}

{{/* What selectors look for. The name tells releases of one namespace apart. */}}
{{- define "attache.selector" -}}
app.kubernetes.io/name: attache
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "attache.labels" -}}
{{ include "attache.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The label by which the PodMonitor finds the pods of this release. A chart that has
attache as a sidecar puts it on its pods. */}}
{{- define "attache.podLabels" -}}
attache: {{ include "attache.name" . }}
{{- end }}

{{/* The port of the first address at a key of the configuration, given as [config, key]. */}}
{{- define "attache.port" -}}
{{- $config := fromYaml (index . 0) }}
{{- with $config.Error }}{{ fail (printf "config is no YAML: %s" .) }}{{ end }}
{{- $address := get $config (index . 1) }}
{{- if kindIs "slice" $address }}{{ $address = first $address }}{{ end }}
{{- if kindIs "map" $address }}{{ $address = $address.address }}{{ end }}
{{- if not (regexMatch ":[0-9]+$" (toString $address)) }}
{{- fail (printf "config has no address HOST:PORT at %s" (index . 1)) }}
{{- end }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}

{{/* What is equal in a sidecar and a container. */}}
{{- define "attache.container" -}}
name: attache
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, -c, /etc/attache/attache.yaml]
ports:
  {{- if eq .Values.mode "standalone" }}
  - {name: {{ .Values.service.protocol }}, containerPort: {{ include "attache.port" (list .Values.config "listen") }}}
  {{- end }}
  - {name: attache-probes, containerPort: {{ include "attache.port" (list .Values.config "probes") }}}
startupProbe:
  httpGet: {path: /startupz, port: attache-probes}
  periodSeconds: 1
  failureThreshold: {{ .Values.startupFailures }}
livenessProbe:
  httpGet: {path: /livez, port: attache-probes}
  periodSeconds: 10
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: attache-probes}
  periodSeconds: 2
  failureThreshold: 1
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
volumeMounts:
  - {name: attache-config, mountPath: /etc/attache, readOnly: true}
  {{- range .Values.secrets }}
  - {name: {{ printf "attache-secret-%s" .name | trunc 63 | trimSuffix "-" | quote }}, mountPath: {{ .mountPath | quote }}, readOnly: true}
  {{- end }}
{{- end }}

{{/* An entry of another chart's initContainers: a native sidecar, which should be the
first of them. */}}
{{- define "attache.sidecar" -}}
{{- if ne .Values.mode "sidecar" }}{{ fail "attache.sidecar is for mode: sidecar" }}{{ end -}}
- restartPolicy: Always
  {{- include "attache.container" . | nindent 2 }}
{{- end }}

{{/* Entries of another chart's volumes, which go with attache.sidecar. */}}
{{- define "attache.volumes" -}}
- name: attache-config
  configMap: {name: {{ include "attache.name" . }}}
{{- range .Values.secrets }}
- name: {{ printf "attache-secret-%s" .name | trunc 63 | trimSuffix "-" | quote }}
  secret: {secretName: {{ .name | quote }}}
{{- end }}
{{- end }}
