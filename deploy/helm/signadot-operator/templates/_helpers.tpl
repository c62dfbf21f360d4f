{{/* The name that all objects start with: at most 52 characters, so that a suffix fits a label. */}}
{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace too: two releases in one cluster must not share a name. */}}
{{- define "operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "operator.fullname" .) -}}
{{- end -}}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The chart's own labels win over common ones: selectors depend on them. */}}
{{- define "operator.labels" -}}
{{- $own := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "signadot" -}}
{{- toYaml (merge (fromYaml (include "operator.selectorLabels" .)) $own .Values.commonLabels) -}}
{{- end -}}

{{/* metadata of an object; arguments: root, name, and optionally namespace (empty for cluster-wide) and annotations. */}}
{{- define "operator.metadata" -}}
name: {{ .name }}
{{- with (hasKey . "namespace" | ternary .namespace .root.Release.Namespace) }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "operator.labels" .root | nindent 2 }}
{{- with merge (deepCopy (.annotations | default dict)) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "operator.fullname" .) "default") -}}
{{- end -}}

{{- define "operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "operator.hasCa" -}}
{{- with .Values.relay.ca -}}{{- if or .pem .secretName .configMapName -}}true{{- end -}}{{- end -}}
{{- end -}}

{{/* Patterns of what may be dialled, separated by commas; empty where the agent's own default holds. */}}
{{- define "operator.allowTargets" -}}
{{- if .Values.agent.allowTargets -}}
{{- join "," .Values.agent.allowTargets -}}
{{- else -}}
{{- $patterns := list -}}
{{- range .Values.allowedNamespaces -}}{{- $patterns = append $patterns (printf "*.%s.svc:*" .) -}}{{- end -}}
{{- join "," $patterns -}}
{{- end -}}
{{- end -}}

{{/* Ports on the way to the relay, as a JSON list. */}}
{{- define "operator.relayPorts" -}}
{{- $port := regexFind ":[0-9]+$" .Values.relay.address | trimPrefix ":" | default "443" -}}
{{- with .Values.proxy.url -}}
{{- $port = regexFind ":[0-9]+$" (trimSuffix "/" .) | trimPrefix ":" | default (hasPrefix "https://" . | ternary "443" "80") -}}
{{- end -}}
{{- $ports := list (int $port) -}}
{{- range .Values.networkPolicy.relayPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}

{{/* What the schema cannot say, all at once; and what it would repeat although it may be secret. */}}
{{- define "operator.check" -}}
{{- $problems := list -}}
{{- if not .Values.relay.address -}}
{{- $problems = append $problems "relay.address: HOST:PORT of the relay is needed, as `signadot cluster add` prints it" -}}
{{- end -}}
{{- $ca := .Values.relay.ca -}}
{{- if gt (len (compact (list $ca.pem $ca.secretName $ca.configMapName))) 1 -}}
{{- $problems = append $problems "relay.ca: set one of pem, secretName and configMapName" -}}
{{- end -}}
{{- if not (regexMatch "^(sdt_[0-9A-Za-z]{36})?$" (.Values.agent.clusterToken | default "")) -}}
{{- $problems = append $problems "agent.clusterToken: not a cluster token, sdt_ and 36 letters and digits; `signadot cluster token create` prints one" -}}
{{- end -}}
{{- if not (regexMatch "^(https?://[^\\s/]+/?)?$" (.Values.proxy.url | default "")) -}}
{{- $problems = append $problems "proxy.url: must be http://[USER:PASSWORD@]HOST[:PORT], or https://" -}}
{{- end -}}
{{- if and .Values.proxy.url .Values.proxy.urlSecret.name -}}
{{- $problems = append $problems "proxy: set url or urlSecret.name, not both" -}}
{{- end -}}
{{- with $problems -}}{{- fail (join "; " .) -}}{{- end -}}
{{- end -}}

{{/* ipBlock peers of a list of networks; of none: everywhere but the addresses where clouds keep a node's credentials. */}}
{{- define "operator.cidrs" -}}
{{- $peers := list -}}
{{- range . -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) -}}
{{- else -}}
{{- $v4 := list "169.254.0.0/16" "100.100.100.200/32" "168.63.129.16/32" "192.0.0.0/24" -}}
{{- $v6 := list "fe80::/10" "fd00:ec2::/32" "fd20:ce::/32" "fd00:c1::/32" -}}
{{- $peers = list (dict "ipBlock" (dict "cidr" "0.0.0.0/0" "except" $v4)) (dict "ipBlock" (dict "cidr" "::/0" "except" $v6)) -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end -}}

{{/* The agent's settings, docs/agent.md. The token is a file: a variable does not follow its Secret. */}}
{{- define "operator.env" -}}
- name: SIGNADOT_RELAY
  value: {{ .Values.relay.address | quote }}
- name: SIGNADOT_TRANSPORT
  value: {{ .Values.relay.transport }}
- name: SIGNADOT_TOKEN_FILE
  value: /run/secrets/signadot/token/token
{{- if include "operator.hasCa" . }}
- name: SIGNADOT_CA_FILE
  value: /run/secrets/signadot/ca/ca.pem
{{- end }}
{{- with include "operator.allowTargets" . }}
- name: SIGNADOT_ALLOW_TARGETS
  value: {{ . | quote }}
{{- end }}
- name: SIGNADOT_CLUSTER_DOMAIN
  value: {{ .Values.agent.clusterDomain }}
- name: SIGNADOT_DRAIN_SECONDS
  value: {{ .Values.agent.drainSeconds | quote }}
- name: SIGNADOT_HEALTH
  value: {{ printf "%s:8088" .Values.agent.healthHost | quote }}
- name: SIGNADOT_KUBERNETES
  value: {{ .Values.kubernetes.enabled | ternary "auto" "off" | quote }}
- name: SIGNADOT_POD_LOGS
  value: {{ and .Values.kubernetes.enabled .Values.podLogs.enabled | quote }}
- name: SIGNADOT_PREVIEWS
  value: {{ and .Values.kubernetes.enabled .Values.previews.enabled | quote }}
{{- with .Values.allowedNamespaces }}
- name: SIGNADOT_ALLOW_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- if .Values.proxy.url }}
- name: HTTPS_PROXY
  value: {{ .Values.proxy.url | quote }}
{{- else if .Values.proxy.urlSecret.name }}
- name: HTTPS_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.proxy.urlSecret.name }}
      key: {{ .Values.proxy.urlSecret.key | quote }}
{{- end }}
{{- with .Values.proxy.noProxy }}
- name: NO_PROXY
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
