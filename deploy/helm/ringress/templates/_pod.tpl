{{/* The Pod of both kinds. */}}
{{- define "ringress.pod" -}}
{{- $c := .Values.controller -}}
metadata:
  labels:
    {{- include "ringress.labels" . | nindent 4 }}
    {{- with $c.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $c.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $c.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "ringress.serviceAccount" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
  terminationGracePeriodSeconds: {{ $c.terminationGracePeriodSeconds }}
  {{- if $c.hostNetwork }}
  hostNetwork: true
  {{- end }}
  dnsPolicy: {{ default (ternary "ClusterFirstWithHostNet" "ClusterFirst" $c.hostNetwork) $c.dnsPolicy }}
  {{- with $c.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or $c.priorityClassName $c.priorityClass.create }}
  priorityClassName: {{ default (include "ringress.fullname" .) $c.priorityClassName }}
  {{- end }}
  {{- with $c.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- if $c.shareProcessNamespace }}
  shareProcessNamespace: true
  {{- end }}
  securityContext:
    {{- if not $c.hostNetwork }}
    sysctls:
    - name: net.ipv4.ip_unprivileged_port_start
      value: "0"
    {{- range $name, $value := $c.sysctls }}
    - name: {{ $name }}
      value: {{ $value | quote }}
    {{- end }}
    {{- end }}
    fsGroup: {{ $c.image.runAsGroup }}
    {{- with $c.podSecurityContext }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $c.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
  - name: controller
    image: {{ include "ringress.image" . }}
    imagePullPolicy: {{ $c.image.pullPolicy }}
    args:
    {{- include "ringress.args" . | nindent 4 }}
    env:
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: POD_NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    {{- if eq (include "ringress.asksForZone" .) "true" }}
    - name: NODE_NAME
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName
    {{- end }}
    {{- with $c.extraEnvs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    ports:
    - name: http
      containerPort: {{ $c.containerPort.http }}
      protocol: TCP
      {{- if $c.hostPort.enabled }}
      hostPort: {{ $c.hostPort.ports.http }}
      {{- end }}
    - name: https
      containerPort: {{ $c.containerPort.https }}
      protocol: TCP
      {{- if $c.hostPort.enabled }}
      hostPort: {{ $c.hostPort.ports.https }}
      {{- end }}
    - name: health
      containerPort: {{ $c.metrics.port }}
      protocol: TCP
    {{- if $c.admissionWebhooks.enabled }}
    - name: webhook
      containerPort: {{ $c.admissionWebhooks.port }}
      protocol: TCP
    {{- end }}
    {{- range $port, $service := .Values.tcp }}
    - name: {{ include "ringress.portName" (list $ $port "tcp") }}
      containerPort: {{ $port }}
      protocol: TCP
    {{- end }}
    {{- range $port, $service := .Values.udp }}
    - name: {{ include "ringress.portName" (list $ $port "udp") }}
      containerPort: {{ $port }}
      protocol: UDP
    {{- end }}
    livenessProbe:
      {{- toYaml $c.livenessProbe | nindent 6 }}
    readinessProbe:
      {{- include "ringress.readinessProbe" . | nindent 6 }}
    {{- with $c.startupProbe }}
    startupProbe:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with include "ringress.lifecycle" . | fromYaml }}
    lifecycle:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml $c.resources | nindent 6 }}
    {{- with $c.resizePolicy }}
    resizePolicy:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- include "ringress.securityContext" . | nindent 6 }}
    volumeMounts:
    {{- if $c.state.enabled }}
    - name: state
      mountPath: /var/lib/ringress
    {{- end }}
    {{- if and $c.admissionWebhooks.enabled (not $c.admissionWebhooks.selfManaged) }}
    - name: webhook
      mountPath: /etc/ringress/webhook
      readOnly: true
    {{- end }}
    {{- with $c.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $c.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  volumes:
  {{- if $c.state.enabled }}
  - name: state
    emptyDir:
      medium: Memory
      sizeLimit: {{ $c.state.sizeLimit }}
  {{- end }}
  {{- if and $c.admissionWebhooks.enabled (not $c.admissionWebhooks.selfManaged) }}
  - name: webhook
    secret:
      secretName: {{ include "ringress.webhookSecret" . }}
  {{- end }}
  {{- with $c.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with $c.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $c.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml $c.topologySpreadConstraints | nindent 4 }}
  {{- else if eq $c.kind "Deployment" }}
  topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ringress.selector" . | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* In ingress-nginx one path is for both probes; here it says only that the process lives. */}}
{{- define "ringress.readinessProbe" -}}
{{- $probe := deepCopy .Values.controller.readinessProbe -}}
{{- with $probe.httpGet }}{{ if eq .path $.Values.controller.healthCheckPath }}{{ $_ := set . "path" "/readyz" }}{{ end }}{{ end -}}
{{ toYaml $probe }}
{{- end -}}

{{/* A file of ingress-nginx' image, which its chart runs by default: what it does is done by the SIGTERM here. */}}
{{- define "ringress.foreignHook" -}}
{{- $hook := default dict (default dict .Values.controller.lifecycle.preStop).exec -}}
{{- if has "/wait-shutdown" (default list $hook.command) }}true{{ end -}}
{{- end -}}

{{- define "ringress.lifecycle" -}}
{{- $lifecycle := deepCopy .Values.controller.lifecycle -}}
{{- if include "ringress.foreignHook" . }}{{ $_ := unset $lifecycle "preStop" }}{{ end -}}
{{ toYaml $lifecycle }}
{{- end -}}

{{- define "ringress.portName" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.portNamePrefix }}{{ . }}-{{ end }}{{ index . 1 }}-{{ index . 2 }}
{{- end -}}
