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

{{- define "image" -}}
{{- $_ := required "image.repository is required: where the image was pushed to" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Where gardener-apiserver reaches the webhooks. */}}
{{- define "url" -}}
{{ .Values.webhooks.url | default (printf "https://%s.%s" (include "name" .) .Release.Namespace) }}
{{- end -}}

{{/* Not empty where the server makes its certificates and registers itself. */}}
{{- define "selfmanaged" -}}
{{- if eq .Values.tls.mode "self-managed" }}true{{ end -}}
{{- end -}}

{{/* The section `certificates` of the configuration: the server registers itself in the virtual garden, and what it
     registers goes with the ClusterRole of the chart application, which has the name of this one. */}}
{{- define "certificates" -}}
{{- $registration := dict "url" (include "url" .) "enabled" .Values.webhooks.enabled "disabled" .Values.webhooks.disabled "owner" (include "name" .) -}}
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

{{/* What the server would refuse when it starts is refused here, by the rules of src/config/certificates.rs and crates/runtime/src/stop.rs:
     a Pod that does not come up says it later, and to fewer people. */}}
{{- define "check" -}}
{{- $server := .Values.config.server | default dict -}}
{{- $stop := 0 -}}
{{- range $phase, $seconds := dict "stopPropagationSeconds" 15 "stopIdleSeconds" 105 "stopDrainSeconds" 30 -}}
{{- $said := index $server $phase -}}
{{- $stop = add $stop (kindIs "invalid" $said | ternary $seconds $said | int) -}}
{{- end -}}
{{- if le (.Values.terminationGracePeriodSeconds | int) ($stop | int) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short: a stop takes %d s (config.server: stopPropagationSeconds, stopIdleSeconds and stopDrainSeconds together), and the end of the period ends the server with calls in flight" (.Values.terminationGracePeriodSeconds | int) ($stop | int)) -}}
{{- end -}}
{{- $ports := dict "webhookConfig.serverPort" .Values.webhookConfig.serverPort "healthPort" .Values.healthPort "metricsPort" .Values.metricsPort -}}
{{- range $name, $port := $ports -}}
{{- range $other, $same := $ports -}}
{{- if and (lt $name $other) (eq (int $port) (int $same)) -}}
{{- fail (printf "%s and %s are both %d: each needs a port of its own" $name $other (int $port)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.webhookConfig.servicePort) (int .Values.metricsPort) -}}
{{- fail (printf "webhookConfig.servicePort and metricsPort are both %d: the Service has both" (int .Values.metricsPort)) -}}
{{- end -}}
{{- if include "selfmanaged" . -}}
{{- $ca := int64 .Values.tls.selfManaged.caLifetimeSeconds -}}
{{- $leaf := int64 .Values.tls.selfManaged.leafLifetimeSeconds -}}
{{- $margin := int64 .Values.tls.selfManaged.marginSeconds -}}
{{- if or (lt $ca 6) (gt $ca 315360000) -}}
{{- fail (printf "tls.selfManaged.caLifetimeSeconds: %d: must be from 6 s to 10 years" $ca) -}}
{{- end -}}
{{- if or (lt $leaf 5) (gt $leaf $ca) -}}
{{- fail (printf "tls.selfManaged.leafLifetimeSeconds: %d: must be at least 5, and at most that of the CA, %d" $leaf $ca) -}}
{{- end -}}
{{- if gt (mul $margin 6) $ca -}}
{{- fail (printf "tls.selfManaged.marginSeconds: %d: must be at most a sixth of the CA's lifetime, %d" $margin $ca) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where a cluster has a kind, as "group/version/Kind". gardenlet and gardener-operator render without a list of kinds; there
     it is, because Gardener brings it. */}}
{{- define "has" -}}
{{- $apis := .root.Capabilities.APIVersions -}}
{{- if or (not $apis) ($apis.Has .kind) ($apis.Has (dir .kind)) }}true{{ end -}}
{{- end -}}

{{/* Zones of the Seed, which gardenlet knows: with one, or none that is told, nothing can be spread over zones, or kept in one. */}}
{{- define "zones" -}}
{{- with dig "seed" "spec" "provider" "zones" list .Values.gardener }}{{ gt (len .) 1 | ternary "true" "" }}{{ end -}}
{{- end -}}

{{/* Whether traffic stays in its zone: where that is said here, and otherwise where the Seed says so and has several zones. */}}
{{- define "topology" -}}
{{- $seed := and (include "zones" .) (dig "seed" "spec" "settings" "topologyAwareRouting" "enabled" false .Values.gardener) -}}
{{- if or .Values.service.topologyAwareRouting.enabled $seed }}true{{ end -}}
{{- end -}}

{{/* The folder with a page for each alert. As long as nobody says where the project is published, it is that in the repository, and no
     link. */}}
{{- define "runbooks" -}}
{{- $published := contains "://example.com/" .Chart.Home | ternary "" (printf "%s/blob/v%s/" .Chart.Home .Chart.AppVersion) -}}
{{- .Values.metrics.prometheusRule.runbookUrl | default (printf "%sdocs/operations/alerts" $published) | trimSuffix "/" -}}
{{- end -}}
