{{- define "onhand.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "onhand.selector" -}}
app.kubernetes.io/name: onhand
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "onhand.labels" -}}
{{ include "onhand.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "onhand.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "onhand.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "onhand.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "onhand.secret" -}}
{{- required "existingSecret: name a secret; make one with: kubectl create secret generic onhand --from-literal=auth-secret=\"$(openssl rand -hex 32)\" --from-literal=database-url=postgres://… --from-literal=redis-url=rediss://…" .Values.existingSecret -}}
{{- end -}}
