{{- define "name" -}}
gardener-extension-network-guard
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

{{/* What somebody else's object of the whole cluster cannot be called by accident. */}}
{{- define "globalname" -}}
extensions.gardener.cloud:extension-network-guard:network-guard
{{- end -}}

{{/* One for each namespace: a second installation must not take the policy and the rights of the first one away, so that both can
     notice each other. */}}
{{- define "policyname" -}}
{{ include "name" . }}.{{ .Release.Namespace }}
{{- end -}}

{{/* Not empty where the webhook of the VPN is registered in Shoots. */}}
{{- define "shoots" -}}
{{- if kindIs "map" ((.Values.config.vpn | default dict).nat | default dict).shootWebhook }}true{{ end -}}
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
{{- if hasKey (((.Values.config.vpn | default dict).nat | default dict).shootWebhook | default dict) "caFile" -}}
{{- fail "config.vpn.nat.shootWebhook.caFile is not for tls.mode self-managed: Shoots are told of its CA" -}}
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
{{- $vpn := .Values.config.vpn | default dict -}}
{{- $version := toString (.Values.gardener.version | default "") -}}
{{- $numbers := regexFind "^v?[0-9]{1,6}[.][0-9]{1,6}[.][0-9]{1,6}" $version -}}
{{- $rest := trimPrefix $numbers $version -}}
{{- if $vpn.failurePolicy -}}
policy: {{ $vpn.failurePolicy }}
why: config.vpn.failurePolicy says so
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
{{- $_ := set $config.vpn.nat "shootWebhook" (merge (dict) $config.vpn.nat.shootWebhook $known) -}}
{{- end -}}
{{- $policy := dict "failurePolicy" (include "failurepolicy" . | fromYaml).policy -}}
{{- $_ := set $config "vpn" (merge $policy ($config.vpn | default dict)) -}}
{{- if include "selfmanaged" . -}}
{{- $_ := set $config "certificates" (include "certificates" . | fromYaml) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What is registered: files/webhooks.yaml, which is webhook-config/seed.yaml of the project. Only where the webhooks are, and what
     becomes of writes while no replica answers, is filled in. */}}
{{- define "configurations" -}}
{{- $root := . -}}
{{- $overlay := .Values.config.overlay | default dict -}}
{{- $failure := include "failurepolicy" . | fromYaml -}}
{{- $configurations := list -}}
{{- range $document := splitList "\n---\n" (.Files.Get "files/webhooks.yaml") -}}
{{- $configuration := fromYaml $document -}}
{{- if hasKey $configuration "Error" -}}
{{- fail (printf "files/webhooks.yaml: %s" $configuration.Error) -}}
{{- end -}}
{{- $webhooks := list -}}
{{- range $webhook := $configuration.webhooks -}}
{{- $is := dict "wanted" (not (has (splitList "." $webhook.name | first) $root.Values.webhooks.disabled)) -}}
{{- $_ := set $webhook.clientConfig.service "namespace" $root.Release.Namespace -}}
{{- $_ := set $webhook.clientConfig.service "name" (include "name" $root) -}}
{{- $_ := set $webhook.clientConfig.service "port" $root.Values.webhookConfig.servicePort -}}
{{- with $root.Values.tls.caBundle -}}
{{- $_ := set $webhook.clientConfig "caBundle" (b64enc .) -}}
{{- end -}}
{{- if eq $webhook.clientConfig.service.path "/webhooks/mutate/kube-apiserver" -}}
{{- $_ := set $webhook "failurePolicy" $failure.policy -}}
{{- end -}}
{{- /* Which infrastructures are held is in the configuration too. A list of comments is null, and means the defaults, as for the
       server. */ -}}
{{- if and (eq $webhook.clientConfig.service.path "/webhooks/mutate/network") (kindIs "slice" $overlay.providers) -}}
{{- if not $overlay.providers -}}
{{- $_ := set $is "wanted" false -}}
{{- end -}}
{{- range $expression := $webhook.namespaceSelector.matchExpressions -}}
{{- if eq $expression.key "shoot.gardener.cloud/provider" -}}
{{- $_ := set $expression "values" $overlay.providers -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $is.wanted -}}
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
{{- if include "shoots" . -}}
{{- $_ := set $ports "webhookConfig.shootsPort" .Values.webhookConfig.shootsPort -}}
{{- end -}}
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
