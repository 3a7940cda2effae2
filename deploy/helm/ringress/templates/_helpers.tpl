{{- define "ringress.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ringress.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "ringress.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "ringress.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ringress.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ringress.controller" -}}
{{- printf "%s-%s" (include "ringress.fullname" .) .Values.controller.name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ringress.serviceAccount" -}}
{{- default (ternary (include "ringress.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "ringress.electionID" -}}
{{- default (printf "%s-leader" (include "ringress.fullname" .)) .Values.controller.electionID -}}
{{- end -}}

{{/* The ValidatingWebhookConfiguration. */}}
{{- define "ringress.webhookName" -}}
{{- printf "%s-admission" (include "ringress.fullname" .) -}}
{{- end -}}

{{/* Two names, as the two Secrets are of different types, which cannot be changed. */}}
{{- define "ringress.webhookSecret" -}}
{{- if .Values.controller.admissionWebhooks.selfManaged -}}
{{- printf "%s-webhook" (include "ringress.fullname" .) -}}
{{- else -}}
{{- default (include "ringress.webhookName" .) .Values.controller.admissionWebhooks.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "ringress.readsNodes" -}}
{{- $c := .Values.controller -}}
{{- $byFlag := eq (toString (index $c.extraArgs "upstream-address")) "node-port" -}}
{{- or .Values.rbac.readNodes (include "ringress.asksForZone" . | eq "true") (eq $c.upstreamAddress "node-port") $byFlag -}}
{{- end -}}

{{- define "ringress.asksForZone" -}}
{{- $c := .Values.controller -}}
{{- $flag := "enable-topology-aware-routing" -}}
{{- or $c.enableTopologyAwareRouting (and (hasKey $c.extraArgs $flag) (ne (toString (index $c.extraArgs $flag)) "false")) -}}
{{- end -}}

{{- define "ringress.selector" -}}
app.kubernetes.io/name: {{ include "ringress.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "ringress.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "ringress.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "ringress.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The values of ingress-nginx' own image, as a copied file of values has them, are not of this one. */}}
{{- define "ringress.foreignImage" -}}
{{- with .Values.controller.image -}}
{{- if and (not .repository) (contains "ingress-nginx" .image) }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- define "ringress.image" -}}
{{- $global := default dict (default dict .Values.global).image -}}
{{- with .Values.controller.image -}}
{{- if include "ringress.foreignImage" $ -}}
ringress:{{ $.Chart.AppVersion }}
{{- else -}}
{{- $registry := default $global.registry .registry -}}
{{- default (ternary (printf "%s/%s" $registry .image) .image (not (empty $registry))) .repository -}}
:{{ default $.Chart.AppVersion .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A value as text. A file of values has all its numbers as floats, which would be written as 1.048576e+07. */}}
{{- define "ringress.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else }}{{ toString . }}{{ end -}}
{{- end -}}

{{/* The container may bind ports below 1024 in two ways. In a network namespace of its own a (safe) sysctl of the Pod
allows it to anybody. On the node's network it takes the capability that the image's file carries, which the kernel gives
only when privileges may rise on exec; all other capabilities are dropped, so there is nothing else to rise to. */}}
{{- define "ringress.securityContext" -}}
{{- if .Values.controller.containerSecurityContext -}}
{{ toYaml .Values.controller.containerSecurityContext }}
{{- else -}}
runAsNonRoot: true
runAsUser: {{ .Values.controller.image.runAsUser }}
runAsGroup: {{ .Values.controller.image.runAsGroup }}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: {{ .Values.controller.hostNetwork }}
capabilities:
  drop: [ALL]
  add: [NET_BIND_SERVICE]
seccompProfile:
  {{- toYaml .Values.controller.seccompProfile | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "ringress.args" -}}
{{- $c := .Values.controller -}}
- run
- --configmap=$(POD_NAMESPACE)/{{ include "ringress.controller" . }}
- --controller-class={{ $c.ingressClassResource.controllerValue }}
- --ingress-class={{ $c.ingressClass }}
- --election-id={{ include "ringress.electionID" . }}
- --http-port={{ $c.containerPort.http }}
- --https-port={{ $c.containerPort.https }}
- --healthz-port={{ $c.metrics.port }}
- --health-check-path={{ $c.healthCheckPath }}
- --enable-metrics={{ $c.metrics.enabled }}
- --shutdown-grace-period={{ $c.shutdownGracePeriod }}
{{- if $c.state.enabled }}
- --state-dir=/var/lib/ringress
{{- end }}
{{- if and $c.publishService.enabled $c.service.enabled $c.service.external.enabled }}
- --publish-service={{ default (printf "$(POD_NAMESPACE)/%s" (include "ringress.controller" .)) $c.publishService.pathOverride }}
{{- end }}
{{- if $c.reportNodeInternalIp }}
- --report-node-internal-ip-address
{{- end }}
{{- with $c.healthCheckHost }}
- --healthz-host={{ . }}
{{- end }}
{{- with $c.electionTTL }}
- --election-ttl={{ . }}
{{- end }}
{{- if $c.ticketSecret.enabled }}
- --ticket-secret=$(POD_NAMESPACE)/{{ include "ringress.fullname" . }}-tickets
{{- end }}
{{- with .Values.defaultBackendService }}
- --default-backend-service={{ . }}
{{- end }}
{{- if .Values.tcp }}
- --tcp-services-configmap={{ default "$(POD_NAMESPACE)" $c.tcp.configMapNamespace }}/{{ include "ringress.fullname" . }}-tcp
{{- end }}
{{- if .Values.udp }}
- --udp-services-configmap={{ default "$(POD_NAMESPACE)" $c.udp.configMapNamespace }}/{{ include "ringress.fullname" . }}-udp
{{- end }}
{{- if $c.scope.enabled }}
- --watch-namespace={{ default "$(POD_NAMESPACE)" $c.scope.namespace }}
{{- else if $c.scope.namespaceSelector }}
- --watch-namespace-selector={{ $c.scope.namespaceSelector }}
{{- end }}
{{- if $c.watchIngressWithoutClass }}
- --watch-ingress-without-class
{{- end }}
{{- if $c.ingressClassByName }}
- --ingress-class-by-name
{{- end }}
{{- if $c.enableTopologyAwareRouting }}
- --enable-topology-aware-routing
{{- end }}
{{- with $c.upstreamAddress }}
- --upstream-address={{ . }}
{{- end }}
{{- if $c.admissionWebhooks.enabled }}
- --validating-webhook=:{{ $c.admissionWebhooks.port }}
{{- if $c.admissionWebhooks.selfManaged }}
- --webhook-secret=$(POD_NAMESPACE)/{{ include "ringress.webhookSecret" . }}
- --webhook-configuration={{ include "ringress.webhookName" . }}
{{- else }}
- --validating-webhook-certificate=/etc/ringress/webhook/tls.crt
- --validating-webhook-key=/etc/ringress/webhook/tls.key
{{- end }}
{{- end }}
{{- if $c.disableLeaderElection }}
- --disable-leader-election
{{- end }}
{{- range $flag, $value := $c.extraArgs }}
- --{{ $flag }}{{ if ne (toString $value) "" }}={{ include "ringress.text" $value }}{{ end }}
{{- end }}
{{- end -}}
