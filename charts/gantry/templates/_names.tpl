{{/* The operator's ServiceAccount as the API server names it. */}}
{{- define "gantry.operator" -}}
system:serviceaccount:{{ .Release.Namespace }}:gantry
{{- end }}

{{/* Labels of everything that the chart makes. */}}
{{- define "gantry.labels" -}}
app.kubernetes.io/name: gantry
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* The image: tag for people, digest for truth. */}}
{{- define "gantry.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}
