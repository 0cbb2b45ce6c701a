{{- define "name" -}}
gardener-extension-network-guard
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

{{/* What somebody else's object of the whole cluster cannot be called by accident. */}}
{{- define "globalname" -}}
extensions.gardener.cloud:extension-network-guard:network-guard
{{- end -}}

{{/* Not empty where the webhook of the VPN is registered in Shoots. */}}
{{- define "shoots" -}}
{{- if kindIs "map" (.Values.config.nat | default dict).shootWebhook }}true{{ end -}}
{{- end -}}

{{/* Besides what was written, it says where API servers of Shoots reach us: nobody knows the namespace before it is there. */}}
{{- define "config" -}}
{{- $config := merge (dict "apiVersion" "config.network-guard.extensions.gardener.cloud/v1alpha1" "kind" "NetworkGuardConfiguration") (deepCopy .Values.config) -}}
{{- if include "shoots" . -}}
{{- $port := .Values.webhookConfig.servicePort | int -}}
{{- $host := printf "%s-shoots.%s.svc" (include "name" .) .Release.Namespace -}}
{{- $known := dict "url" (printf "https://%s" (eq $port 443 | ternary $host (printf "%s:%d" $host $port))) -}}
{{- if .Values.tls.caBundle -}}
{{- $_ := set $known "caFile" "/etc/network-guard/config/ca.crt" -}}
{{- end -}}
{{- $_ := set $config.nat "shootWebhook" (merge (dict) $config.nat.shootWebhook $known) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
