{{- define "name" -}}
gardener-extension-admission-network-guard
{{- end -}}

{{- define "selector" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "labels" -}}
{{ include "selector" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Not empty where the server makes its certificates and registers itself. */}}
{{- define "selfmanaged" -}}
{{- if eq .Values.tls.mode "self-managed" }}true{{ end -}}
{{- end -}}

{{/* The section `certificates` of the configuration: the server registers itself in the virtual garden, and what it
     registers goes with the ClusterRole of the chart application, which has the name of this one. */}}
{{- define "certificates" -}}
{{- $registration := dict "url" .Values.webhooks.url "enabled" .Values.webhooks.enabled "disabled" .Values.webhooks.disabled "owner" (include "name" .) -}}
{{- $known := dict "namespace" .Release.Namespace "registration" $registration -}}
{{- range $name, $value := .Values.tls.selfManaged -}}
{{- $_ := set $known ($name | replace "secretName" "secret") (kindIs "float64" $value | ternary (int64 $value) $value) -}}
{{- end -}}
{{- toYaml $known -}}
{{- end -}}

{{- define "config" -}}
{{- if hasKey .Values.config "certificates" -}}
{{- fail "config.certificates is written by the chart: say tls.mode, tls.selfManaged and webhooks" -}}
{{- end -}}
{{- $config := merge (dict "apiVersion" "config.network-guard.extensions.gardener.cloud/v1alpha1" "kind" "NetworkGuardConfiguration") (deepCopy .Values.config) -}}
{{- if include "selfmanaged" . -}}
{{- if .Values.tls.caBundle -}}
{{- fail "tls.caBundle is not for tls.mode self-managed, which makes its own CA: leave it out, or say tls.mode secret or cert-manager" -}}
{{- end -}}
{{- $_ := set $config "certificates" (include "certificates" . | fromYaml) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
