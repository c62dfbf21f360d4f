"""Values that the charts are rendered with: what people set, and corners."""

from typing import Any

TOKEN = "sdt_" + "a" * 36
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ADDRESS = {"relay": {"address": "tunnel.example.com:443"}}

OPERATOR_VALUES: dict[str, dict[str, Any]] = {
    "as-cluster-add-prints": {**ADDRESS, "agent": {"clusterToken": TOKEN}},
    "own-secret": {**ADDRESS, "agent": {"tokenSecret": {"name": "own", "key": "t"}}},
    "namespaces": {**ADDRESS, "allowedNamespaces": ["shop", "pay"]},
    "no-logs": {**ADDRESS, "podLogs": {"enabled": False}},
    "no-previews": {**ADDRESS, "previews": {"enabled": False}, "allowedNamespaces": ["shop"]},
    "tunnel-only": {**ADDRESS, "kubernetes": {"enabled": False}, "networkPolicy": {"enabled": False}},
    "inline-ca": {"relay": {"address": "10.0.0.1:8443", "transport": "websocket", "ca": {"pem": CA}}},
    "ca-secret-and-proxy": {
        "relay": {"address": "[fd00::1]:443", "ca": {"secretName": "root", "key": "tls.crt"}},
        "proxy": {"url": "http://proxy.corp:3128/", "noProxy": [".corp", "10.0.0.0/8"]},
        "agent": {"healthHost": "[::]"},
    },
    "ca-map-and-secret-proxy": {
        "relay": {"address": "relay.example.com", "ca": {"configMapName": "roots"}},
        "proxy": {"urlSecret": {"name": "proxy"}},
        "networkPolicy": {"relayCIDRs": ["192.0.2.0/24"], "relayPorts": [8444, 3128]},
    },
    "many-pods": {
        **ADDRESS,
        "replicas": 3,
        "runAsUser": None,
        "agent": {"allowTargets": ["web.shop.svc:8080", "10.1.0.0/16:*"], "drainSeconds": 600},
        "image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccount": {"create": False},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "system-cluster-critical",
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "networkPolicy": {
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "extraEgress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}],
        },
    },
    "labels": {
        **ADDRESS,
        "agent": {"clusterToken": TOKEN},
        "commonLabels": {"team": "infra", "app.kubernetes.io/name": "other"},
        "commonAnnotations": {"owner": "infra"},
        "podLabels": {"sidecar": "no"},
        "podAnnotations": {"prometheus.io/scrape": "true"},
        "fullnameOverride": "agent",
    },
}

NEEDED = {
    "domain": "example.com",
    "tls": {"secretName": "relay-tls"},
    "masterKey": {"secretName": "relay-master"},
    "store": {"url": "postgresql://relay@db.example.com/relay", "passwordSecret": {"name": "relay-database"}},
}
RELAY_VALUES: dict[str, dict[str, Any]] = {
    "needed": NEEDED,
    "github": {
        **NEEDED,
        "github": {"enabled": True, "appId": 123456, "clientId": "Iv23li", "secretName": "github"},
        "store": {"url": "postgresql://relay@db/relay?sslmode=verify-ca", "ca": {"secretName": "db-ca"}},
    },
    "github-enterprise": {
        **NEEDED,
        "github": {
            "enabled": True,
            "appId": 4294967296,
            "clientId": 'quoted "\\ id',
            "secretName": "github",
            "caKey": "ca.pem",
            "apiUrl": "https://github.corp/api/v3",
            "webUrl": "https://github.corp",
        },
        "store": {"url": "postgresql://relay@db:5433/relay", "ca": {"configMapName": "db-ca", "key": "root.pem"}},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.corp:3128"}],
    },
    "high-port": {
        **NEEDED,
        "hosts": {"preview": "p.example.org", "api": "signadot.example.org"},
        "listenHost": "[::]",
        "service": {"type": "NodePort", "port": 8443, "externalTrafficPolicy": "Cluster"},
        "preStopSeconds": 0,
        "runAsUser": None,
        "networkPolicy": {"enabled": False},
    },
    "everything-else": {
        **NEEDED,
        "limits": {"receive_budget_bytes": 2147483648, "drain_seconds": 600.5, "login_seconds": 31536000},
        "service": {
            "loadBalancerClass": "service.k8s.aws/nlb",
            "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "annotations": {"external-dns.alpha.kubernetes.io/hostname": "*.preview.example.com"},
        },
        "metrics": {"port": 9100, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
        "podDisruptionBudget": {"enabled": True},
        "commonLabels": {"team": "infra"},
        "commonAnnotations": {"owner": "infra"},
        "podAnnotations": {"x": "y"},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"pool": "edge"},
    },
    "inside": {**NEEDED, "service": {"type": "ClusterIP"}},
    "workers": {**NEEDED, "workers": 4, "service": {"tunnelPort": 8444}},
}

ALL = [("signadot-operator", name, values) for name, values in OPERATOR_VALUES.items()] + [
    ("signadot-relay", name, values) for name, values in RELAY_VALUES.items()
]
