{{- /* What the ValidatingAdmissionPolicies of both charts share, in CEL. The chart for Seeds has the original, the chart application a
       copy, because a chart cannot read outside of its folder.

       A text of a chart becomes a text of CEL by toJson: both escape alike. CEL takes lists and maps of one type only, so selectors
       are compared field by field. */ -}}

{{/* Variables that all expressions use. */}}
{{- define "policy.variables" -}}
- name: name
  expression: object.metadata.name
- name: labels
  expression: object.metadata.?labels.orValue({})
- name: annotations
  expression: object.metadata.?annotations.orValue({})
- name: oldLabels
  expression: "oldObject == null ? {} : oldObject.metadata.?labels.orValue({})"
- name: oldAnnotations
  expression: "oldObject == null ? {} : oldObject.metadata.?annotations.orValue({})"
- name: oldFinalizers
  expression: "oldObject == null ? [] : oldObject.metadata.?finalizers.orValue([])"
- name: oldOwners
  expression: "oldObject == null ? [] : oldObject.metadata.?ownerReferences.orValue([])"
{{- end -}}

{{/* Whether the webhooks of an object are those of this project: what they are asked about, and where they are. What only makes them be
     asked less, such as match conditions, is not compared, so that a server of another release can register too. Takes `webhooks`, and
     `name` and `namespace` of the Service or `url`. What a server of another installation registered may stay as it is: that is how one
     asks whether it is still there. */}}
{{- define "policy.webhooks" -}}
{{- $to := . -}}
(oldObject != null && dyn(object.?webhooks) == dyn(oldObject.?webhooks))
|| object.?webhooks.orValue([]).all(w, false
{{- range $webhook := .webhooks }}
  || (w.name == {{ $webhook.name | toJson }}
    {{- if $to.url }}
    && !has(w.clientConfig.service)
    && w.clientConfig.?url.orValue('') == {{ print $to.url (get (urlParse $webhook.clientConfig.url) "path") | toJson }}
    {{- else }}
    && !has(w.clientConfig.url)
    && w.clientConfig.service.namespace == {{ $to.namespace | toJson }}
    && w.clientConfig.service.name == {{ $to.name | toJson }}
    && w.clientConfig.service.?path.orValue('') == {{ $webhook.clientConfig.service.path | toJson }}
    {{- end }}
    && w.rules.all(r, false
    {{- range $rule := $webhook.rules }}
      || (r.apiGroups == {{ $rule.apiGroups | toJson }} && r.resources == {{ $rule.resources | toJson }}
        && r.operations.all(o, o in {{ $rule.operations | toJson }}))
    {{- end }})
    && {{ include "policy.selector" (dict "of" "w.?namespaceSelector" "selector" $webhook.namespaceSelector) }}
    && {{ include "policy.selector" (dict "of" "w.?objectSelector" "selector" $webhook.objectSelector) }})
{{- end }})
{{- end -}}

{{- define "policy.selector" -}}
{{- $selector := .selector | default dict -}}
{{- $of := .of -}}
{{- $expressions := $selector.matchExpressions | default list -}}
dyn({{ $of }}.?matchLabels.orValue({})) == dyn({{ $selector.matchLabels | default dict | toJson }})
    && {{ $of }}.?matchExpressions.orValue([]).size() == {{ len $expressions }}
{{- range $expression := $expressions }}
    && {{ $of }}.?matchExpressions.orValue([]).exists(e, e.key == {{ $expression.key | toJson }}
      && e.operator == {{ $expression.operator | toJson }}
      && dyn(e.?values.orValue([])) == dyn({{ $expression.values | default list | toJson }}))
{{- end }}
{{- end -}}

{{/* All letters that can be printed, from the one with the number 32 on. */}}
{{- define "policy.printable" -}}
{{- $letters := list -}}
{{- range $number := untilStep 32 127 1 -}}
{{- $letters = append $letters (printf "%c" $number) -}}
{{- end -}}
{{- join "" $letters | toJson -}}
{{- end -}}
