"""Istio's own attributes with their types: what `istio-proxy` and `kubernetes` declare in its attribute manifests.

Data only. `attributemanifest` objects extend it (`mixer.rules`).
"""

from __future__ import annotations

from mixer.attributes import ValueType, Vocabulary

_NAMES = {
    ValueType.STRING: """
        origin.uid origin.user
        request.id request.host request.method request.path request.url_path request.reason request.referer
        request.scheme request.useragent request.api_key
        request.auth.principal request.auth.audiences request.auth.presenter request.auth.raw_claims
        response.grpc_status response.grpc_message
        source.uid source.user source.principal source.name source.namespace source.owner source.service
        source.serviceAccount source.services source.workload.uid source.workload.name source.workload.namespace
        destination.uid destination.user destination.principal destination.name destination.namespace
        destination.owner destination.service destination.service.uid destination.service.name
        destination.service.namespace destination.service.host destination.serviceAccount destination.workload.uid
        destination.workload.name destination.workload.namespace destination.container.name
        destination.container.image
        connection.event connection.id connection.requested_server_name
        context.protocol context.proxy_error_code context.reporter.kind context.reporter.uid
        api.service api.version api.operation api.protocol
        rbac.permissive.response_code rbac.permissive.effective_policy_id
        check.error_message
    """,
    ValueType.INT64: """
        request.total_size request.size response.code response.total_size response.size destination.port
        connection.received.bytes connection.received.bytes_total connection.sent.bytes connection.sent.bytes_total
        check.error_code
    """,
    ValueType.BOOL: "connection.mtls context.reporter.local check.cache_hit quota.cache_hit",
    ValueType.TIMESTAMP: "request.time response.time context.timestamp context.time",
    ValueType.DURATION: "response.duration connection.duration",
    ValueType.IP_ADDRESS: "origin.ip source.ip destination.ip",
    ValueType.STRING_MAP: """
        request.headers request.query_params request.auth.claims response.headers
        source.labels source.metadata destination.labels destination.metadata
    """,
}

ISTIO = Vocabulary({name: type_ for type_, names in _NAMES.items() for name in names.split()})
"""Before any manifest."""
