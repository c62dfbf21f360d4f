"""What a relay that was taken over might send: every verb, to several hundred paths, in every disguise."""

from collections.abc import Iterator

METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"),
    *("LIST", "WATCH", "PROPFIND", "MKCOL", "DELETECOLLECTION", "IMPERSONATE", "BIND", "ESCALATE", "UNKNOWN"),
)
NAMESPACES = ("shop", "signadot", "kube-system")
CORE = (
    *("pods", "services", "secrets", "configmaps", "endpoints", "events", "limitranges", "persistentvolumeclaims"),
    *("podtemplates", "replicationcontrollers", "resourcequotas", "serviceaccounts", "bindings"),
)
CLUSTER = ("namespaces", "nodes", "persistentvolumes", "componentstatuses")
GROUPS = {
    "apps/v1": ("deployments", "replicasets", "statefulsets", "daemonsets", "controllerrevisions"),
    "discovery.k8s.io/v1": ("endpointslices",),
    "signadot.com/v1": ("workspaces", "others"),
    "batch/v1": ("jobs", "cronjobs"),
    "rbac.authorization.k8s.io/v1": ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
    "authentication.k8s.io/v1": ("tokenreviews", "selfsubjectreviews"),
    "authorization.k8s.io/v1": ("subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews"),
    "admissionregistration.k8s.io/v1": ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    "apiextensions.k8s.io/v1": ("customresourcedefinitions",),
    "apiregistration.k8s.io/v1": ("apiservices",),
    "certificates.k8s.io/v1": ("certificatesigningrequests",),
    "coordination.k8s.io/v1": ("leases",),
    "networking.k8s.io/v1": ("ingresses", "networkpolicies"),
    "storage.k8s.io/v1": ("storageclasses", "volumeattachments"),
}
SUBRESOURCES = {
    "pods": ("log", "status", "exec", "attach", "portforward", "proxy", "eviction", "binding", "ephemeralcontainers"),
    "services": ("status", "proxy"),
    "serviceaccounts": ("token",),
    "deployments": ("status", "scale"),
    "replicasets": ("status", "scale"),
    "workspaces": ("status", "scale", "log", "finalizers"),
}
NON_RESOURCE = (
    *("/", "/api", "/api/", "/api/v1", "/api/v1/", "/apis", "/apis/", "/apis/apps", "/apis/apps/v1", "/version"),
    *("/version/", "/versions", "/healthz", "/livez", "/readyz", "/metrics", "/metrics/cadvisor", "/logs", "/logs/"),
    *("/openapi/v2", "/openapi/v3", "/debug/pprof", "/debug/flags/v", "/configz", "/swagger.json", "/ui", "/proxy"),
    *("/.well-known/openid-configuration", "/openid/v1/jwks", "/api/v1/watch/pods", "/api/v1/proxy/namespaces/shop"),
    *("/api/v1/watch/namespaces/shop/pods", "/api/v1/namespaces", "/api/v1/namespaces/shop", "/apis/v1/pods"),
    *("/api/v1/namespaces/shop/finalize", "/api/v1/namespaces/shop/status", "/api/v1/nodes/n1/proxy/pods"),
    *("/api/v1/nodes/n1", "/api/v1/nodes/n1/proxy/run/shop/web-1/web", "/api/v1/nodes/n1/proxy/exec/shop/web-1/web"),
    *("/api/v1/namespaces/shop/services/web:80/proxy/", "/api/v1/namespaces/shop/services/https:web:443/proxy/x"),
    *("/api/v1/namespaces/shop/pods/web-1:8080/proxy/", "/api/v1/namespaces/shop/pods/web-1/proxy/../../secrets"),
    *("/api/v2/namespaces/shop/pods", "/apis/apps/v1beta1/deployments", "/apis/signadot.com/v2/workspaces"),
    *("/apis/signadot.com/v1beta1/namespaces/signadot/workspaces", "/apis/apps/v1/pods", "/api/v1/deployments"),
)
LOG = "/api/v1/namespaces/shop/pods/web-1/log"
PODS = "/api/v1/namespaces/shop/pods"
DISGUISED = (
    # Percent-encoding, dots, empty segments, other separators: spellings of what is refused, or of what is allowed.
    *("/api/v1/namespaces/shop/%73ecrets", "/api/v1/namespaces/shop/secrets%2Fx", "/api/v1/namespaces/shop%2Fsecrets"),
    *("/api/v1/namespaces/shop/pods%2F..%2Fsecrets", "/api/v1/namespaces/shop/pods/..%2Fsecrets"),
    *("/api/v1/namespaces/shop/pods/%2e%2e/secrets", "/api/v1/namespaces/shop/pods/%252e%252e/secrets"),
    *("/api/v1/namespaces/shop/pods/../secrets", "/api/v1/namespaces/shop/pods/./web-1", "/api/v1/./pods"),
    *("/api/v1/namespaces/shop/pods/..", "/api/v1/namespaces/shop/pods/.", "/api/v1/namespaces/../secrets"),
    *("//api/v1/pods", "/api//v1/pods", "/api/v1//pods", "/api/v1/pods/", "/api/v1/namespaces//pods"),
    *("/api/v1/namespaces/shop//pods", "/api/v1/namespaces/shop/pods//", "/api/v1/namespaces/shop/pods//log"),
    *("/api/v1/namespaces/shop/pods/web-1//exec", "/api/v1/namespaces/shop/pods/web-1/log/", "/version//"),
    *("/api/v1/namespaces/shop/pods\\..\\secrets", "/api/v1/namespaces/shop/pods;x=1", "/api/v1/pods;/../secrets"),
    *("/API/v1/pods", "/api/V1/pods", "/api/v1/Pods", "/api/v1/PODS", "/api/v1/namespaces/Shop/pods", "/VERSION"),
    *("/api/v1/namespaces/shop/pods/Web-1", "/api/v1/namespaces/shop/pods/-web", "/api/v1/namespaces/shop/pods/web-"),
    *("/api/v1/namespaces/shop/pods/web..1", "/api/v1/namespaces/shop/pods/web_1", "/api/v1/namespaces/*/pods"),
    *("/api/v1/namespaces/shop.x/pods", "/api/v1/namespaces/-/pods", "/api/v1/namespaces/_all/pods"),
    *("/%61pi/v1/pods", "/api/v1/pods%00", "/api/v1/pods%0d%0aX:y", "/api/v1/pods%20", "/api/v1/pods%3Fwatch=true"),
    *(
        "/api/v1/pods%3f",
        "/api/v1/pods%23",
        "/api/v1/p%6Fds",
        "/version%2f",
        "/%76ersion",
        "/api/v1/namespaces/%73hop/pods",
    ),
    *(f"/api/v1/namespaces/{'a' * 64}/pods", f"/api/v1/namespaces/shop/pods/{'a' * 254}"),
    *("/api/v1/pods&watch=true", "/api/v1/pods,secrets", "/api/v1/pods|", "/api/v1/{pods}", "/api/v1/'pods'"),
    # Absolute form, authority form, asterisk form.
    *("http://kubernetes.default.svc/api/v1/pods", "https://kubernetes.default.svc/api/v1/secrets"),
    *("HTTPS://kubernetes.default.svc/version", "http://169.254.169.254/latest/meta-data", "*"),
    *("kubernetes.default.svc:443", "ftp://kubernetes.default.svc/api/v1/pods", "api/v1/pods", "?watch=true"),
)
QUERIES = (
    *(f"{LOG}?follow=true&stdin=true", f"{LOG}?insecureSkipTLSVerifyBackend=true", f"{LOG}?pretty=true", f"{LOG}?"),
    *(f"{LOG}?stream=Stdout", f"{LOG}?follow=1", f"{LOG}?follow=", f"{LOG}?follow", f"{LOG}?container=a/../b"),
    *(f"{LOG}?container=%2e%2e", f"{LOG}?follow=true&follow=true", f"{LOG}?sinceSeconds=-1", f"{LOG}?tailLines=1e9"),
    *(
        f"{LOG}?sinceTime=yesterday",
        f"{LOG}?container=a%26command%3Dsh",
        f"{LOG}?tailLines=%31%00",
        f"{LOG}?command=sh",
    ),
    *(f"{PODS}?watch=1", f"{PODS}?watch=false", f"{PODS}?Watch=true", f"{PODS}?watch=true&watch=true"),
    *(f"{PODS}?labelSelector=a;b", f"{PODS}?labelSelector=a%0d%0a", f"{PODS}?labelSelector=%FF", f"{PODS}?limit=-1"),
    *(
        f"{PODS}?labelSelector=a+b",
        f"{PODS}?labelSelector=%2",
        f"{PODS}?labelSelector=%zz",
        f"{PODS}?labelSelector=%2c",
    ),
    *(
        f"{PODS}?as=admin",
        f"{PODS}?impersonate=admin",
        f"{PODS}?access_token=x",
        f"{PODS}?token=x",
        f"{PODS}?limit=1;2",
    ),
    *(
        f"{PODS}?dryRun=All",
        f"{PODS}?pretty=true",
        f"{PODS}?sendInitialEvents=true",
        f"{PODS}?&limit=1",
        f"{PODS}?limit=1&",
    ),
    *(
        f"{PODS}?limit=1&&limit=2",
        f"{PODS}?limit=1?limit=2",
        f"{PODS}?limit=1#x",
        f"{PODS}?%6cimit=1",
        f"{PODS}?limit%3D1",
    ),
    *(f"{PODS}?continue=../../secrets", f"{PODS}?resourceVersion=abc", f"{PODS}?allowWatchBookmarks=true"),
    *(f"{PODS}/web-1?watch=true", f"{PODS}/web-1?export=true", f"{PODS}/web-1?path=/", f"{PODS}/web-1?limit=1"),
    *("/version?timeout=32s", "/version?pretty=true", "/version?watch=true"),
    *(f"{PODS}?watch=true&limit=1", f"{PODS}?timeoutSeconds=9", f"{PODS}?propagationPolicy=Orphan"),
)


def paths() -> Iterator[str]:
    """Targets as they stand in a request line."""
    yield from NON_RESOURCE
    for prefix, resources in [("/api/v1", CORE), *((f"/apis/{group}", names) for group, names in GROUPS.items())]:
        for resource in resources:
            yield f"{prefix}/{resource}"
            yield f"{prefix}/{resource}/x"
            for namespace in NAMESPACES:
                collection = f"{prefix}/namespaces/{namespace}/{resource}"
                yield collection
                yield f"{collection}?watch=true"
                yield f"{collection}/x-1"
                for subresource in SUBRESOURCES.get(resource, ("status",)):
                    yield f"{collection}/x-1/{subresource}"
    for resource in CLUSTER:
        yield f"/api/v1/{resource}"
        yield f"/api/v1/{resource}/x"
        yield f"/api/v1/{resource}/x/proxy"
    yield from DISGUISED
    yield from QUERIES


GOOD = "GET /api/v1/namespaces/shop/pods"
HEADERS = (
    *(
        "Impersonate-User: admin",
        "Impersonate-Group: system:masters",
        "Impersonate-Uid: 1",
        "Impersonate-Extra-Scopes: a",
    ),
    *("Authorization: Bearer other", "Authorization: Basic YTpi", "Cookie: a=b", "Proxy-Authorization: Bearer x"),
    *(
        "Upgrade: websocket",
        "Upgrade: SPDY/3.1",
        "Connection: Upgrade",
        "Connection: close",
        "Connection: authorization",
    ),
    *(
        "X-Remote-User: admin",
        "X-Remote-Group: system:masters",
        "X-Forwarded-For: 1.2.3.4",
        "X-Http-Method-Override: PUT",
    ),
    *(
        "Expect: 100-continue",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "TE: trailers",
        "Trailer: x",
    ),
    *("Sec-WebSocket-Protocol: v4.channel.k8s.io", "X-Stream-Protocol-Version: v4.channel.k8s.io", "Range: bytes=0-1"),
    *("Host: other", "Accept: application/vnd.kubernetes.protobuf", "Accept: application/json;as=Table", "Accept:"),
    *(
        "Accept: application/json, text/html",
        "Content-Type: application/json",
        "Content-Length: 0",
        "Content-Length: 5",
    ),
    *(
        "Content-Length: 05",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content_Length: 5",
        "If-Match: x",
        "Bad Name: x",
    ),
    *("Authorization : Bearer x", " folded: x", "Accept: a\x00b", "X: \x0b", "Origin: https://x", "User-Agent: \xff"),
)
"""Each beside what would be let through without it."""
OBJECT = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}'
SMUGGLING = (
    b"GET /version HTTP/1.1\r\nhost: k\r\n\r\nGET /api/v1/secrets HTTP/1.1\r\nhost: k\r\n\r\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\ncontent-length: 44\r\n\r\nGET /api/v1/secrets HTTP/1.1\r\nhost: k\r\n\r\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /version HTTP/1.1\nhost: k\n\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\nx: y\nGET /api/v1/secrets HTTP/1.1\r\n\r\n",
    b"GET /version\r\n\r\n",
    b"GET /version HTTP/1.0\r\nhost: k\r\n\r\n",
    b"GET /version HTTP/2.0\r\nhost: k\r\n\r\n",
    b"GET  /version HTTP/1.1\r\nhost: k\r\n\r\n",
    b"GET /version HTTP/1.1 \r\nhost: k\r\n\r\n",
    b"GET\t/version HTTP/1.1\r\nhost: k\r\n\r\n",
    b"get /version HTTP/1.1\r\nhost: k\r\n\r\n",
    b"GET /version HTTP/1.1\r\n\r\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\nhost: l\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\n x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\nhost: k\r\n\r\n",
    b"GET /version HTTP/1.1\r\nhost: k\r\n" + b"accept: */*\r\n" * 20 + b"\r\n",
    b"GET /version?" + b"a" * 9000 + b" HTTP/1.1\r\nhost: k\r\n\r\n",
)
"""Whole requests."""
WORKSPACES = "/apis/signadot.com/v1/namespaces/signadot/workspaces"


def with_bodies() -> Iterator[bytes]:
    """Writes to where writing is allowed, framed or typed as it is not."""
    for headers in (
        b"content-type: application/json\r\ncontent-length: 10\r\ncontent-length: 56",
        b"content-type: application/json\r\ncontent-length: 56\r\ntransfer-encoding: chunked",
        b"content-type: application/json\r\ntransfer-encoding: chunked",
        b"content-type: application/json\r\ntransfer-encoding: gzip, chunked",
        b"content-type: application/json\r\ncontent-length: 10",  # 46 bytes behind it
        b"content-type: application/json\r\ncontent-length: 1048577",
        b"content-type: application/json\r\ncontent-length: 99999999999999999999",
        b"content-type: application/json",
        b"content-length: 56",
        b"content-type:\r\ncontent-length: 56",
        b"content-type: application/json; charset=utf-8\r\ncontent-length: 56",
        b"content-type: application/yaml\r\ncontent-length: 56",
        b"content-type: application/vnd.kubernetes.protobuf\r\ncontent-length: 56",
        b"content-type: application/merge-patch+json\r\ncontent-length: 56",
        b"content-type: application/json\r\ncontent-type: application/json\r\ncontent-length: 56",
        b"content-type: application/json\r\ncontent-length: 56\r\nexpect: 100-continue",
        b"content-type: application/json\r\ncontent-length: 60",  # 4 bytes never come
    ):
        yield b"POST " + WORKSPACES.encode() + b" HTTP/1.1\r\nhost: k\r\n" + headers + b"\r\n\r\n" + OBJECT
