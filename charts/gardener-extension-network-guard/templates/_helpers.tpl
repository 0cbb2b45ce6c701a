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

{{/* Not empty where the server makes its certificates and registers itself. */}}
{{- define "selfmanaged" -}}
{{- if eq .Values.tls.mode "self-managed" }}true{{ end -}}
{{- end -}}

{{/* By which one replica leads. With self-managed certificates it is another one: in an upgrade from those of others the
     old Pods must not keep the new ones from it, which are not ready without. */}}
{{- define "lease" -}}
network-guard-{{ eq .Values.tls.mode "self-managed" | ternary "certificates" "overlay" }}
{{- end -}}

{{/* What would be read by nobody, or by somebody else than meant, is refused. */}}
{{- define "checktls" -}}
{{- if hasKey .Values.config "certificates" -}}
{{- fail "config.certificates is written by the chart: say tls.mode, tls.selfManaged and webhooks" -}}
{{- end -}}
{{- if include "selfmanaged" . -}}
{{- if .Values.tls.caBundle -}}
{{- fail "tls.caBundle is not for tls.mode self-managed, which makes its own CA: leave it out, or say tls.mode secret or cert-manager" -}}
{{- end -}}
{{- if hasKey ((.Values.config.nat | default dict).shootWebhook | default dict) "caFile" -}}
{{- fail "config.nat.shootWebhook.caFile is not for tls.mode self-managed: Shoots are told of its CA" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The section `certificates` of the configuration: the server registers itself, and what it registers goes with the
     ClusterRole. */}}
{{- define "certificates" -}}
{{- $service := dict "namespace" .Release.Namespace "name" (include "name" .) "port" (int64 .Values.webhookConfig.servicePort) -}}
{{- $registration := dict "service" $service "enabled" .Values.webhooks.enabled "disabled" .Values.webhooks.disabled "owner" (include "globalname" .) -}}
{{- $known := dict "namespace" .Release.Namespace "registration" $registration -}}
{{- range $name, $value := .Values.tls.selfManaged -}}
{{- $_ := set $known ($name | replace "secretName" "secret") (kindIs "float64" $value | ternary (int64 $value) $value) -}}
{{- end -}}
{{- toYaml $known -}}
{{- end -}}

{{/* What becomes of writes of kube-apiservers while no replica answers, and why: as it was written, or by gardenlet's version,
     which it puts into the values of charts. A version that cannot be read must not keep the chart from being rendered.
     Builds on the way to v1.124.0 may or may not bring the proxy. `sidecar: always` says nothing about it: an older gardenlet
     has no proxy that could be replaced, and none that is left where a write is not reviewed. */}}
{{- define "failurepolicy" -}}
{{- $overlap := .Values.config.overlap | default dict -}}
{{- $version := toString (.Values.gardener.version | default "") -}}
{{- $numbers := regexFind "^v?[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}" $version -}}
{{- $rest := trimPrefix $numbers $version -}}
{{- if $overlap.failurePolicy -}}
policy: {{ $overlap.failurePolicy }}
why: config.overlap.failurePolicy says so
{{- else if or (not $numbers) (not (regexMatch "^([-+].*)?$" $rest)) -}}
policy: Fail
why: {{ $version | empty | ternary "gardener.version does not say which Gardener this is" "gardener.version cannot be read" }}
{{- else -}}
{{- $parts := splitList "." (trimPrefix "v" $numbers) -}}
{{- $major := index $parts 0 | atoi -}}
{{- $minor := index $parts 1 | atoi -}}
{{- $is_released := or (gt (index $parts 2 | atoi) 0) (not (hasPrefix "-" $rest)) -}}
{{- if or (gt $major 1) (and (eq $major 1) (or (gt $minor 124) (and (eq $minor 124) $is_released))) -}}
policy: Ignore
why: {{ printf "gardenlet brings a proxy of its own from v1.124 on, and this is %s" ($version | trunc 64) | toJson }}
{{- else -}}
policy: Fail
why: {{ printf "gardenlet brings no proxy of its own before v1.124, and this is %s" ($version | trunc 64) | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Besides what was written, it says where API servers of Shoots reach us, as nobody knows the namespace before it is there,
     and what is registered for the time when no replica answers. */}}
{{- define "config" -}}
{{- include "checktls" . -}}
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
{{- $policy := dict "failurePolicy" (include "failurepolicy" . | fromYaml).policy -}}
{{- $_ := set $config "overlap" (merge $policy ($config.overlap | default dict)) -}}
{{- if include "selfmanaged" . -}}
{{- $_ := set $config "certificates" (include "certificates" . | fromYaml) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
