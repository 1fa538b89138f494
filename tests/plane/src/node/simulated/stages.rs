//! The stages that KWOK plays: from which state a pod or node goes to which, when, and how.

use serde_json::{Value, json};

use super::{EXIT_CODE, FAIL, READY_AFTER, RUN_FOR, TERMINATION_MESSAGE};

/// All stages, one YAML document each.
pub(super) fn all() -> String {
    let pulls = [("image-pull", PULL_ERROR), ("registry-down", UNREACHABLE)];
    let pulls = pulls.iter().flat_map(|(how, error)| {
        [image_pull_fails(how, error), image_pull_backs_off(how, error), image_pull_tries_again(how, error)]
    });
    let stages = [
        node_ready(),
        node_heartbeat(),
        pod_deleted(),
        pod_ready(),
        pod_finished(),
        pod_never_ready(),
        crash_loop_starts(),
        crash_loop_crashes(),
        crash_loop_restarts(),
    ];
    stages.into_iter().chain(pulls).map(|stage| stage.to_string()).collect::<Vec<_>>().join("\n---\n")
}

/// One stage: it applies to what matches all of `when`, after the delay, and writes `status`.
fn stage(name: &str, when: &[Value], delay: &Value, status: &str) -> Value {
    let kind = if name.starts_with("node") { "Node" } else { "Pod" };
    json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": { "name": name },
        "spec": {
            "resourceRef": { "apiGroup": "v1", "kind": kind },
            "selector": { "matchExpressions": when },
            "delay": delay,
            "next": { "statusTemplate": status },
        },
    })
}

fn is(key: &str, value: &str) -> Value {
    json!({ "key": key, "operator": "In", "values": [value] })
}

fn is_not(key: &str, values: &[&str]) -> Value {
    json!({ "key": key, "operator": "NotIn", "values": values })
}

fn exists(key: &str) -> Value {
    json!({ "key": key, "operator": "Exists" })
}

fn absent(key: &str) -> Value {
    json!({ "key": key, "operator": "DoesNotExist" })
}

fn alive() -> Value {
    absent(".metadata.deletionTimestamp")
}

fn annotation(name: &str) -> String {
    format!(".metadata.annotations[\"{name}\"]")
}

/// Alive, in `phase`, and to fail as `failure` says.
fn failing(failure: &str, phase: &str) -> Vec<Value> {
    vec![alive(), is(&annotation(FAIL), failure), is(".status.phase", phase)]
}

fn after(milliseconds: u32) -> Value {
    json!({ "durationMilliseconds": milliseconds })
}

fn after_annotation(name: &str) -> Value {
    json!({ "durationMilliseconds": 0, "durationFrom": { "expressionFrom": annotation(name) } })
}

const NOT_READY: &str = ".status.conditions.[] | select( .type == \"Ready\" ) | .status";
const WAITING: &str = ".status.containerStatuses.[].state.waiting.reason";
const RUNNING: &str = ".status.containerStatuses.[].state.running.startedAt";

const NODE_CONDITIONS: &str = r"
{{ $now := Now }}
{{ $since := or .metadata.creationTimestamp $now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $since | Quote }}
{{ end }}";

fn node_ready() -> Value {
    let status = format!(
        r#"{NODE_CONDITIONS}
phase: Running
addresses:
- {{ type: InternalIP, address: {{{{ NodeIP | Quote }}}} }}
- {{ type: Hostname, address: {{{{ NodeName | Quote }}}} }}
daemonEndpoints: {{ kubeletEndpoint: {{ Port: {{{{ NodePort }}}} }} }}
capacity: {{ cpu: 1k, memory: 1Ti, pods: 1M }}
allocatable: {{ cpu: 1k, memory: 1Ti, pods: 1M }}
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  bootID: ""
  machineID: ""
  systemUUID: ""
  osImage: simulated
  kernelVersion: simulated
  containerRuntimeVersion: simulated
  kubeletVersion: simulated
  kubeProxyVersion: """#
    );
    stage("node-ready", &[is_not(NOT_READY, &["True"])], &after(0), &status)
}

/// The lease, which KWOK renews by itself, says that the node lives; this is for whoever reads times.
fn node_heartbeat() -> Value {
    let when = [is(NOT_READY, "True"), is(".status.phase", "Running")];
    stage("node-heartbeat", &when, &after(300_000), NODE_CONDITIONS)
}

fn pod_deleted() -> Value {
    let mut stage = stage("pod-deleted", &[exists(".metadata.deletionTimestamp")], &after(0), "");
    if let Some(spec) = stage.get_mut("spec") {
        *spec = json!({
            "resourceRef": { "apiGroup": "v1", "kind": "Pod" },
            "selector": { "matchExpressions": [exists(".metadata.deletionTimestamp")] },
            "next": { "delete": true },
        });
    }
    stage
}

/// What every pod that has arrived on its node shows.
const PLACED: &str = r#"
startTime: {{ Now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: true
  restartCount: 0
  {{ if eq ( or .restartPolicy "" ) "Always" }}
  started: true
  state: { running: { startedAt: {{ Now | Quote }} } }
  {{ else }}
  state: { terminated: { exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }} } }
  {{ end }}
{{ end }}
{{ end }}"#;

/// Conditions of a pod, ready or not as `status` and `because` say.
fn conditions(status: &str, because: &str) -> String {
    format!(
        r#"
conditions:
{{{{ range .spec.readinessGates }}}}
- {{ type: {{{{ .conditionType | Quote }}}}, status: "{status}", lastTransitionTime: {{{{ Now | Quote }}}} }}
{{{{ end }}}}
- {{ type: Initialized, status: "True", lastTransitionTime: {{{{ Now | Quote }}}} }}
- {{ type: Ready, status: "{status}", lastTransitionTime: {{{{ Now | Quote }}}}{because} }}
- {{ type: ContainersReady, status: "{status}", lastTransitionTime: {{{{ Now | Quote }}}}{because} }}"#
    )
}

fn ready() -> String {
    conditions("True", ", reason: null, message: null")
}

fn unready() -> String {
    let because = ", reason: ContainersNotReady, message: 'containers with unready status: \
                   [{{ range $i, $c := .spec.containers }}{{ if $i }} {{ end }}{{ $c.name }}{{ end }}]'";
    conditions("False", because)
}

/// One entry for each container. `$old` is what was there before, `$root` the pod.
fn containers(entry: &str) -> String {
    format!(
        r"
{{{{ $root := . }}}}
{{{{ $annotations := or .metadata.annotations dict }}}}
containerStatuses:
{{{{ range $index, $item := .spec.containers }}}}
{{{{ $old := dict }}}}
{{{{ if $root.status.containerStatuses }}}}{{{{ $old = index $root.status.containerStatuses $index }}}}{{{{ end }}}}
- name: {{{{ $item.name | Quote }}}}
  image: {{{{ $item.image | Quote }}}}{entry}
{{{{ end }}}}"
    )
}

/// A container that exited, indented for the place where it stands.
fn terminated(default_code: &str, reason: &str) -> String {
    format!(
        r#"{{ terminated: {{ exitCode: {{{{ or ( index $annotations "{EXIT_CODE}" ) "{default_code}" }}}}, reason: {reason}, message: {{{{ or ( index $annotations "{TERMINATION_MESSAGE}" ) "" | Quote }}}}, startedAt: {{{{ Now | Quote }}}}, finishedAt: {{{{ Now | Quote }}}} }} }}"#
    )
}

fn running(is_ready: &str, more: &str) -> String {
    containers(&format!(
        r"
  imageID: {{{{ $item.image | Quote }}}}
  ready: {is_ready}
  started: true
  state: {{ running: {{ startedAt: {{{{ Now | Quote }}}} }} }}{more}"
    ))
}

fn pod_ready() -> Value {
    let status = format!("phase: Running{PLACED}{}{}", ready(), running("true", "\n  restartCount: 0"));
    let when = [alive(), absent(&annotation(FAIL)), is(".status.phase", "Pending")];
    stage("pod-ready", &when, &after_annotation(READY_AFTER), &status)
}

fn pod_never_ready() -> Value {
    let status = format!("phase: Running{PLACED}{}{}", unready(), running("false", "\n  restartCount: 0"));
    stage("pod-never-ready", &failing("never-ready", "Pending"), &after_annotation(READY_AFTER), &status)
}

fn pod_finished() -> Value {
    let reason = format!(
        r#"{{{{ if eq ( or ( index $annotations "{EXIT_CODE}" ) "0" ) "0" }}}}Completed{{{{ else }}}}Error{{{{ end }}}}"#
    );
    let entry = format!(
        "\n  imageID: {{{{ $item.image | Quote }}}}\n  ready: false\n  started: false\n  restartCount: 0\n  state: {}",
        terminated("0", &reason)
    );
    let phase = format!(
        "\nphase: {{{{ if eq ( or ( index $annotations \"{EXIT_CODE}\" ) \"0\" ) \"0\" }}}}Succeeded{{{{ else }}}}Failed{{{{ end }}}}"
    );
    let status = format!("{}{phase}{}", containers(&entry), conditions("False", ", reason: PodCompleted"));
    let when = [
        alive(),
        absent(&annotation(FAIL)),
        is(".status.phase", "Running"),
        is(".metadata.ownerReferences.[].kind", "Job"),
    ];
    stage("pod-finished", &when, &after_annotation(RUN_FOR), &status)
}

/// The kubelet's words for an image that the registry does not have.
const PULL_ERROR: &str = "rpc error: code = NotFound desc = failed to pull and unpack image \\\"{{ $item.image }}\\\": \
     failed to resolve reference \\\"{{ $item.image }}\\\": {{ $item.image }}: not found";

/// Its words for a registry that it does not reach.
const UNREACHABLE: &str = "rpc error: code = Unavailable desc = failed to pull and unpack image \\\"{{ $item.image }}\\\": \
     failed to resolve reference \\\"{{ $item.image }}\\\": dial tcp 192.0.2.1:443: connect: connection refused";

fn waiting_for_image(reason: &str, message: &str) -> String {
    containers(&format!(
        "\n  imageID: \"\"\n  ready: false\n  started: false\n  restartCount: 0\n  \
         state: {{ waiting: {{ reason: {reason}, message: \"{message}\" }} }}"
    ))
}

fn image_pull_fails(how: &str, error: &str) -> Value {
    let status = format!("phase: Pending{PLACED}{}{}", unready(), waiting_for_image("ErrImagePull", error));
    let mut when = failing(how, "Pending");
    when.push(is_not(WAITING, &["ErrImagePull", "ImagePullBackOff"]));
    stage(&format!("pod-{how}-fails"), &when, &after_annotation(READY_AFTER), &status)
}

fn image_pull_backs_off(how: &str, error: &str) -> Value {
    let message = format!("Back-off pulling image \\\"{{{{ $item.image }}}}\\\": ErrImagePull: {error}");
    let mut when = failing(how, "Pending");
    when.push(is(WAITING, "ErrImagePull"));
    stage(&format!("pod-{how}-backs-off"), &when, &after(1_000), &waiting_for_image("ImagePullBackOff", &message))
}

fn image_pull_tries_again(how: &str, error: &str) -> Value {
    let mut when = failing(how, "Pending");
    when.push(is(WAITING, "ImagePullBackOff"));
    stage(&format!("pod-{how}-tries-again"), &when, &after(15_000), &waiting_for_image("ErrImagePull", error))
}

fn crash_loop_starts() -> Value {
    let status = format!("phase: Running{PLACED}{}{}", unready(), running("false", "\n  restartCount: 0"));
    stage("pod-crash-loop-starts", &failing("crash-loop", "Pending"), &after_annotation(READY_AFTER), &status)
}

/// As the kubelet does: the first restart is immediate, later ones are held back.
fn crash_loop_crashes() -> Value {
    let last = terminated("1", "Error");
    let entry = format!(
        r#"
  imageID: {{{{ $item.image | Quote }}}}
  ready: false
  lastState: {last}
  {{{{ if $old.restartCount }}}}
  started: false
  restartCount: {{{{ $old.restartCount }}}}
  state: {{ waiting: {{ reason: CrashLoopBackOff, message: "back-off 10s restarting failed container={{{{ $item.name }}}} pod={{{{ $root.metadata.name }}}}_{{{{ $root.metadata.namespace }}}}({{{{ $root.metadata.uid }}}})" }} }}
  {{{{ else }}}}
  started: true
  restartCount: 1
  state: {{ running: {{ startedAt: {{{{ Now | Quote }}}} }} }}
  {{{{ end }}}}"#
    );
    let mut when = failing("crash-loop", "Running");
    when.push(exists(RUNNING));
    stage("pod-crash-loop-crashes", &when, &after(500), &containers(&entry))
}

/// Sooner than the kubelet's 10 s, so that tests see a count that rises.
fn crash_loop_restarts() -> Value {
    let more =
        format!("\n  restartCount: {{{{ add $old.restartCount 1 }}}}\n  lastState: {}", terminated("1", "Error"));
    let mut when = failing("crash-loop", "Running");
    when.push(is(WAITING, "CrashLoopBackOff"));
    stage("pod-crash-loop-restarts", &when, &after(3_000), &running("false", &more))
}
