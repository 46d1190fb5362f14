//! What is in the cluster: two namespaces, three pods, three secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::super::answer::rfc3339;
use super::super::request::cut;
use crate::internet::world::World;

const AGE: u64 = 47 * 86_400;
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
const VERBS: [&str; 8] = ["create", "delete", "get", "list", "patch", "update", "watch", "deletecollection"];

/// Plural, kind, whether they are in a namespace.
type Resource = (&'static str, &'static str, bool);

/// Resources of the core group.
const CORE: [Resource; 11] = [
    ("configmaps", "ConfigMap", true),
    ("endpoints", "Endpoints", true),
    ("events", "Event", true),
    ("namespaces", "Namespace", false),
    ("nodes", "Node", false),
    ("persistentvolumes", "PersistentVolume", false),
    ("persistentvolumeclaims", "PersistentVolumeClaim", true),
    ("pods", "Pod", true),
    ("secrets", "Secret", true),
    ("serviceaccounts", "ServiceAccount", true),
    ("services", "Service", true),
];

/// Group, version, resources.
const GROUPS: [(&str, &str, &[Resource]); 4] = [
    (
        "apps",
        "v1",
        &[
            ("daemonsets", "DaemonSet", true),
            ("deployments", "Deployment", true),
            ("statefulsets", "StatefulSet", true),
        ],
    ),
    ("batch", "v1", &[("cronjobs", "CronJob", true), ("jobs", "Job", true)]),
    (
        "rbac.authorization.k8s.io",
        "v1",
        &[
            ("clusterrolebindings", "ClusterRoleBinding", false),
            ("clusterroles", "ClusterRole", false),
            ("rolebindings", "RoleBinding", true),
            ("roles", "Role", true),
        ],
    ),
    ("authorization.k8s.io", "v1", &[("selfsubjectaccessreviews", "SelfSubjectAccessReview", false)]),
];

/// What people type.
const SHORT: [(&str, &str); 11] = [
    ("configmaps", "cm"),
    ("cronjobs", "cj"),
    ("daemonsets", "ds"),
    ("deployments", "deploy"),
    ("namespaces", "ns"),
    ("nodes", "no"),
    ("pods", "po"),
    ("serviceaccounts", "sa"),
    ("services", "svc"),
    ("statefulsets", "sts"),
    ("endpoints", "ep"),
];

pub fn core() -> Value {
    resources("v1", &CORE)
}

pub fn groups() -> Value {
    let groups = GROUPS.iter().map(|(group, version, _)| {
        let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        json!({"name": group, "versions": [version], "preferredVersion": version})
    });
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Vec<_>>()})
}

/// A group that nobody knows has nothing.
pub fn group(group: &str, version: &str) -> Value {
    let found = GROUPS.iter().find(|known| (known.0, known.1) == (group, version));
    let name = format!("{}/{}", cut(group, 64), cut(version, 16));
    resources(&name, found.map_or(&[][..], |known| known.2))
}

fn resources(version: &str, known: &[Resource]) -> Value {
    let one = |(name, kind, namespaced): &Resource| {
        let short: Vec<&str> = SHORT.iter().filter(|known| known.0 == *name).map(|known| known.1).collect();
        json!({
            "name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": VERBS,
            "shortNames": short,
        })
    };
    let list: Vec<Value> = known.iter().map(one).collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
}

/// The account may do what it asks about: so it does it.
pub fn review(kind: &str, body: &[u8]) -> Value {
    let spec =
        serde_json::from_slice::<Value>(body).ok().and_then(|mut sent| Some(sent.get_mut("spec")?.take()));
    let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    let (kind, status) = match kind {
        "selfsubjectrulesreviews" => {
            let rules = json!({"resourceRules": [rule], "nonResourceRules": [], "incomplete": false});
            ("SelfSubjectRulesReview", rules)
        }
        _ => ("SelfSubjectAccessReview", json!({"allowed": true, "reason": ""})),
    };
    json!({"kind": kind, "apiVersion": "authorization.k8s.io/v1", "spec": spec, "status": status})
}

/// All objects of a kind, of a namespace or of all.
pub fn list(world: &World, version: &str, namespace: Option<&str>, resource: &str) -> Value {
    let kind = kind(resource);
    let items = objects(world, resource);
    let inside = items.into_iter().filter(|item| is_in(item, namespace));
    json!({
        "kind": format!("{kind}List"), "apiVersion": version, "metadata": {"resourceVersion": "184223"},
        "items": inside.collect::<Vec<_>>(),
    })
}

pub fn find(
    world: &World,
    version: &str,
    namespace: Option<&str>,
    resource: &str,
    name: &str,
) -> Option<Value> {
    let mut items = objects(world, resource).into_iter().filter(|item| is_in(item, namespace));
    let mut found = items.find(|item| item["metadata"]["name"] == name)?;
    found["kind"] = kind(resource).into();
    found["apiVersion"] = version.into();
    Some(found)
}

fn is_in(item: &Value, namespace: Option<&str>) -> bool {
    namespace.is_none_or(|namespace| item["metadata"]["namespace"] == namespace)
}

fn kind(resource: &str) -> &'static str {
    let mut all = CORE.iter().chain(GROUPS.iter().flat_map(|group| group.2));
    all.find(|known| known.0 == resource).map_or("Object", |known| known.1)
}

fn objects(world: &World, resource: &str) -> Vec<Value> {
    match resource {
        "namespaces" => NAMESPACES.iter().map(|name| json!({"metadata": {"name": name}})).collect(),
        "nodes" => vec![json!({"metadata": {"name": "node-1"}, "status": {"addresses": []}})],
        "pods" => vec![
            pod(world, "default", &world.hostname, "web"),
            pod(world, "default", "postgres-0", "postgres"),
            pod(world, "kube-system", "coredns-5dd5756b68-7kq2x", "coredns"),
        ],
        "secrets" => secrets(world),
        "serviceaccounts" => vec![json!({"metadata": named(world, "default", "default")})],
        "services" => vec![json!({
            "metadata": named(world, "default", "kubernetes"),
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]},
        })],
        _ => Vec::new(),
    }
}

fn named(world: &World, namespace: &str, name: &str) -> Value {
    let created = rfc3339(world.now.saturating_sub(AGE));
    json!({"name": name, "namespace": namespace, "creationTimestamp": created})
}

fn pod(world: &World, namespace: &str, name: &str, program: &str) -> Value {
    let container = json!({"name": program, "image": format!("registry.internal/{program}:1.8")});
    json!({
        "metadata": named(world, namespace, name),
        "spec": {"nodeName": "node-1", "serviceAccountName": "default", "containers": [container]},
        "status": {"phase": "Running", "podIP": world.client.0.to_string()},
    })
}

fn secrets(world: &World) -> Vec<Value> {
    let bait = |name, field| world.baits.secret(name, field);
    let database = [("username", "app"), ("password", bait("kube-secret", "password"))];
    let cloud = [
        ("AWS_ACCESS_KEY_ID", bait("aws-credentials", "access_key_id")),
        ("AWS_SECRET_ACCESS_KEY", bait("aws-credentials", "secret_access_key")),
    ];
    let login = format!(
        "{{\"auths\":{{\"registry.internal\":{{\"username\":\"deploy\",\"password\":\"{}\"}}}}}}",
        bait("registry-login", "password")
    );
    let login = [(".dockerconfigjson", login.as_str())];
    vec![
        secret(world, "database", "Opaque", &database),
        secret(world, "backup-s3", "Opaque", &cloud),
        secret(world, "registry", "kubernetes.io/dockerconfigjson", &login),
    ]
}

fn secret(world: &World, name: &str, kind: &str, fields: &[(&str, &str)]) -> Value {
    let encoded = |(key, value): &(&str, &str)| ((*key).to_owned(), STANDARD.encode(value).into());
    let data: Map<String, Value> = fields.iter().map(encoded).collect();
    json!({"metadata": named(world, "default", name), "type": kind, "data": data})
}
