{{- define "name" -}}
gardener-extension-admission-network-guard
{{- end -}}

{{- define "selector" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "labels" -}}
{{ include "selector" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Where gardener-apiserver reaches the webhooks: a Service in the runtime cluster. */}}
{{- define "url" -}}
{{ .Values.webhooks.url | default (printf "https://%s.%s" (include "name" .) .Values.webhooks.namespace) }}
{{- end -}}

{{/* What is registered: files/webhooks.yaml, which is webhook-config/garden.yaml of the project, without what is not wanted. */}}
{{- define "configurations" -}}
{{- $root := . -}}
{{- $configurations := list -}}
{{- range $document := splitList "\n---\n" (.Files.Get "files/webhooks.yaml") -}}
{{- $configuration := fromYaml $document -}}
{{- if hasKey $configuration "Error" -}}
{{- fail (printf "files/webhooks.yaml: %s" $configuration.Error) -}}
{{- end -}}
{{- $webhooks := list -}}
{{- range $webhook := $configuration.webhooks -}}
{{- if not (has (splitList "." $webhook.name | first) $root.Values.webhooks.disabled) -}}
{{- $webhooks = append $webhooks $webhook -}}
{{- end -}}
{{- end -}}
{{- if $webhooks -}}
{{- $_ := set $configuration "webhooks" $webhooks -}}
{{- $configurations = append $configurations $configuration -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "configurations" $configurations) -}}
{{- end -}}
