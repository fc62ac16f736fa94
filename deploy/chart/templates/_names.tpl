{{- define "rightsize.name" -}}
{{- $name := printf "%s-rightsize" .Release.Name }}
{{- if contains "rightsize" .Release.Name }}{{ $name = .Release.Name }}{{ end }}
{{- $name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "rightsize.selector" -}}
app.kubernetes.io/name: rightsize
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rightsize.labels" -}}
{{ include "rightsize.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
