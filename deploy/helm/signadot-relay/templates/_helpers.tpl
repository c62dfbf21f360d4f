{{/* The name that all objects start with: at most 52 characters, so that a suffix fits a label. */}}
{{- define "relay.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "relay.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The chart's own labels win over common ones: selectors depend on them. */}}
{{- define "relay.labels" -}}
{{- $own := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "signadot" -}}
{{- toYaml (merge (fromYaml (include "relay.selectorLabels" .)) $own .Values.commonLabels) -}}
{{- end -}}

{{/* metadata of an object; arguments: root, name, and optionally labels and annotations. */}}
{{- define "relay.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- toYaml (merge (fromYaml (include "relay.labels" .root)) (.labels | default dict)) | nindent 2 }}
{{- with merge (deepCopy (.annotations | default dict)) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "relay.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "relay.fullname" .) "default") -}}
{{- end -}}

{{- define "relay.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* One of the five names; arguments: root, name. */}}
{{- define "relay.host" -}}
{{- get .root.Values.hosts .name | default (printf "%s.%s" .name .root.Values.domain) -}}
{{- end -}}

{{- define "relay.hasDatabaseCa" -}}
{{- with .Values.store.ca -}}{{- if or .secretName .configMapName -}}true{{- end -}}{{- end -}}
{{- end -}}

{{- define "relay.storeUrl" -}}
{{- .Values.store.url -}}
{{- if include "relay.hasDatabaseCa" . -}}
{{- contains "?" .Values.store.url | ternary "&" "?" -}}sslrootcert=/run/secrets/signadot/database-ca/ca.pem
{{- end -}}
{{- end -}}

{{/* What SIGTERM waits for exchanges under way, in whole seconds; the default is the relay's own. */}}
{{- define "relay.drainSeconds" -}}
{{- get .Values.limits "drain_seconds" | default 30 | float64 | ceil | int -}}
{{- end -}}

{{/* relay.toml. A JSON string is a TOML string too; numbers go through JSON, which writes no exponents for whole ones. */}}
{{- define "relay.toml" -}}
[listen]
public = {{ printf "%s:%d" .Values.listenHost (int .Values.service.port) | toRawJson }}
{{- if gt (int .Values.workers) 1 }}
tunnels = {{ printf "%s:%d" .Values.listenHost (int .Values.service.tunnelPort) | toRawJson }}
{{- end }}
metrics = {{ printf "%s:%d" .Values.listenHost (int .Values.metrics.port) | toRawJson }}

[hosts]
{{- range list "preview" "api" "app" "tunnel" "proxy" }}
{{ . }} = {{ include "relay.host" (dict "root" $ "name" .) | toRawJson }}
{{- end }}

[tls]
certificate = "/run/secrets/signadot/tls/tls.crt"
key = "/run/secrets/signadot/tls/tls.key"

[store]
url = {{ include "relay.storeUrl" . | toRawJson }}
{{- if .Values.store.passwordSecret.name }}
password_file = "/run/secrets/signadot/database/password"
{{- end }}

[keys]
master = "/run/secrets/signadot/master/master.key"
{{- with .Values.github }}
{{- if .enabled }}

[github]
app_id = {{ .appId | toRawJson }}
client_id = {{ .clientId | toRawJson }}
client_secret_file = "/run/secrets/signadot/github/client_secret"
private_key_file = "/run/secrets/signadot/github/app.pem"
webhook_secret_file = "/run/secrets/signadot/github/webhook_secret"
api_url = {{ .apiUrl | toRawJson }}
web_url = {{ .webUrl | toRawJson }}
{{- if .caKey }}
ca_file = "/run/secrets/signadot/github/ca.pem"
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.limits }}

[limits]
{{- range $name, $value := . }}
{{ $name }} = {{ $value | toRawJson }}
{{- end }}
{{- end }}
{{ end -}}

{{/* What the schema cannot say, all at once; and what it would repeat although it may be secret. */}}
{{- define "relay.check" -}}
{{- $problems := list -}}
{{- if not .Values.domain -}}
{{- $problems = append $problems "domain: needed; the relay serves names below it" -}}
{{- end -}}
{{- if not .Values.tls.secretName -}}
{{- $problems = append $problems "tls.secretName: needed; a Secret of type kubernetes.io/tls for *.preview.DOMAIN and the other names" -}}
{{- end -}}
{{- if not .Values.masterKey.secretName -}}
{{- $problems = append $problems "masterKey.secretName: needed; a Secret with 32 random bytes in base64" -}}
{{- end -}}
{{- $url := .Values.store.url -}}
{{- if not $url -}}
{{- $problems = append $problems "store.url: needed; postgresql://USER@HOST[:PORT]/DATABASE" -}}
{{- else if regexMatch "^postgresql://[^/@]*:[^/]*@" $url -}}
{{- $problems = append $problems "store.url: must not have a password; that belongs into store.passwordSecret" -}}
{{- else if not (regexMatch "^postgresql://[^:/@?#\\s]+@[^/@?#\\s]+/[^/?#\\s]+(\\?[^#\\s]*)?$" $url) -}}
{{- $problems = append $problems "store.url: must be postgresql://USER@HOST[:PORT]/DATABASE[?sslmode=...]" -}}
{{- end -}}
{{- if and .Values.store.ca.secretName .Values.store.ca.configMapName -}}
{{- $problems = append $problems "store.ca: set one of secretName and configMapName" -}}
{{- end -}}
{{- if and (include "relay.hasDatabaseCa" .) (contains "sslrootcert=" $url) -}}
{{- $problems = append $problems "store: set ca, or sslrootcert in url, not both" -}}
{{- end -}}
{{- if eq (int .Values.service.port) (int .Values.metrics.port) -}}
{{- $problems = append $problems "metrics.port: must differ from service.port; metrics are not for the outside" -}}
{{- end -}}
{{- if gt (int .Values.workers) 1 -}}
{{- range $port := list (int .Values.service.port) (int .Values.metrics.port) -}}
{{- if and (ge $port (int $.Values.service.tunnelPort)) (lt $port (add (int $.Values.service.tunnelPort) (int $.Values.workers))) -}}
{{- $problems = append $problems (printf "service.tunnelPort: port %d is one of the workers' and something else's" $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $problems -}}{{- fail (join "; " .) -}}{{- end -}}
{{- end -}}

{{/* A Secret as a folder of files; arguments: name, secret, items (file -> key). Folders follow a change, single files do not. */}}
{{- define "relay.secretVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      {{- range $file, $key := .items }}
      - key: {{ $key | quote }}
        path: {{ $file }}
      {{- end }}
{{- end -}}

{{/* The mounted secrets, each below /run/secrets/signadot by its own name. */}}
{{- define "relay.volumes" -}}
{{ include "relay.secretVolume" (dict "name" "tls" "secret" .Values.tls.secretName "items" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}
{{ include "relay.secretVolume" (dict "name" "master" "secret" .Values.masterKey.secretName "items" (dict "master.key" .Values.masterKey.key)) }}
{{- with .Values.store.passwordSecret }}
{{- if .name }}
{{ include "relay.secretVolume" (dict "name" "database" "secret" .name "items" (dict "password" .key)) }}
{{- end }}
{{- end }}
{{- with .Values.store.ca }}
{{- if .secretName }}
{{ include "relay.secretVolume" (dict "name" "database-ca" "secret" .secretName "items" (dict "ca.pem" .key)) }}
{{- else if .configMapName }}
- name: database-ca
  configMap:
    name: {{ .configMapName }}
    items:
      - key: {{ .key | quote }}
        path: ca.pem
{{- end }}
{{- end }}
{{- with .Values.github }}
{{- if .enabled }}
{{- $items := dict "client_secret" .clientSecretKey "app.pem" .privateKeyKey "webhook_secret" .webhookSecretKey }}
{{- if .caKey }}{{- $items = set $items "ca.pem" .caKey }}{{- end }}
{{ include "relay.secretVolume" (dict "name" "github" "secret" .secretName "items" $items) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The numbers of the workers that have a port of their own for agents, as a YAML list. */}}
{{- define "relay.tunnelWorkers" -}}
{{- if gt (int .Values.workers) 1 }}{{ until (int .Values.workers) | toJson }}{{ else }}[]{{ end -}}
{{- end -}}
