"""Adapters in processes of their own: what they are told over gRPC, and what becomes of their answers.

The far end is a gRPC server that decodes with classes of its own, from the protocol's numbers.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import grpc
import pytest
from google.protobuf import descriptor_pb2

from galley.checks.mixer import check_handler
from galley.decode import decode
from galley.kinds.mixer import Handler
from mixer.dispatch import Dispatcher
from mixer.result import QuotaArgs
from mixer.status import Code
from mixer.wire import adapter_messages as messages
from tests.unit.mixer.configuration import accepted, instance, rule, rules_of, sound


def _config() -> str:
    file = descriptor_pb2.FileDescriptorProto(name="config.proto", package="mygrpcadapter", syntax="proto3")
    params = file.message_type.add(name="Params")
    params.field.add(name="file_path", number=1, type=9, label=1, json_name="filePath")
    return base64.b64encode(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()).decode()


@attrs.define(eq=False)
class Adapter:
    """Keeps what it is asked; `sessions` counts those that were made."""

    address: str = ""
    asked: list[Any] = attrs.field(factory=list)
    sessions: int = 0
    closed: list[str] = attrs.field(factory=list)
    inferred: dict[str, Any] = attrs.field(factory=dict)
    status: int = 0
    granted: int = 2

    def handler(self, template: str) -> Any:
        service = messages.service(template)
        method = service.path.rpartition("/")[2]

        async def handle(request: Any, context: Any) -> Any:
            self.asked.append(request)
            if self.status < 0:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            answer = service.result()
            if template == "quota":
                for name in request.quota_request.quotas:
                    answer.quotas[name].granted_amount = self.granted
                    answer.quotas[name].valid_duration.seconds = 3
            elif hasattr(answer, "status"):
                answer.status.code, answer.status.message = self.status, "no" if self.status else ""
                answer.valid_duration.seconds, answer.valid_use_count = 7, 9
            return answer

        made = grpc.unary_unary_rpc_method_handler(handle, service.request.FromString, service.result.SerializeToString)
        return grpc.method_handlers_generic_handler(service.path.split("/")[1], {method: made})

    def backend(self) -> Any:
        async def validate(request: Any, context: Any) -> Any:
            self.inferred = dict(request.inferred_types)
            return messages.ValidateResponse()

        async def create(request: Any, context: Any) -> Any:
            self.sessions += 1
            return messages.CreateSessionResponse(session_id=f"session-{self.sessions}")

        async def close(request: Any, context: Any) -> Any:
            self.closed.append(request.session_id)
            return messages.CloseSessionResponse()

        def method(run: Any, request: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(run, request.FromString, lambda made: made.SerializeToString())

        methods = {
            "Validate": method(validate, messages.ValidateRequest),
            "CreateSession": method(create, messages.CreateSessionRequest),
            "CloseSession": method(close, messages.CloseSessionRequest),
        }
        return grpc.method_handlers_generic_handler(messages.BACKEND.strip("/"), methods)


@asynccontextmanager
async def _adapter() -> AsyncIterator[Adapter]:
    adapter = Adapter()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([adapter.handler(each) for each in sorted(messages.TEMPLATES)])
    server.add_generic_rpc_handlers((adapter.backend(),))
    adapter.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield adapter
    finally:
        await server.stop(None)


def _objects(adapter: Adapter, *, sessions: bool = False) -> tuple[Any, ...]:
    templates = ["metric", "listentry", "quota.istio-system", "authorization"]
    info = {"description": "mine", "sessionBased": sessions, "templates": templates, "config": _config()}
    handler = {
        "adapter": "mine",
        "connection": {"address": adapter.address, "timeout": "5s"},
        "params": {"file_path": "out.txt"},
    }
    return (
        accepted("adapter", "mine", info),
        accepted("handler", "h", handler),
        instance(
            "size", "metric", {"value": "request.size", "dimensions": {"ip": "source.ip", "took": "response.duration"}}
        ),
        instance("name", "listentry", {"value": "source.name"}),
        instance("hits", "quota", {"dimensions": {"who": "source.name"}}),
        instance("who", "authorization", {"subject": {"user": "source.name", "properties": {"n": "request.size"}}}),
        rule("r", "", "h", ("size", "name", "hits", "who")),
    )


BAG: dict[str, Any] = {
    "destination.namespace": "default",
    "source.name": "web",
    "source.ip": b"\x0a\0\0\x01",
    "request.size": 5,
    "response.duration": datetime.timedelta(milliseconds=1500),
}


@asynccontextmanager
async def _dispatcher(adapter: Adapter, **more: Any) -> AsyncIterator[Dispatcher]:
    dispatcher = Dispatcher()
    dispatcher.install(sound(*_objects(adapter, **more)))
    try:
        yield dispatcher
    finally:
        await dispatcher.close()


async def test_checks_quotas_and_reports_go_to_the_adapter_and_its_answers_count() -> None:
    async with _adapter() as adapter, _dispatcher(adapter) as dispatcher:
        verdict = await dispatcher.check(BAG, {"hits": QuotaArgs(4, best_effort=True, deduplication_id="id-1")})
        assert (verdict.status.code, verdict.valid_use_count) == (Code.OK, 9)
        assert verdict.quotas["hits"].granted == 2
        assert not await dispatcher.report([BAG])
        by_kind = {each.DESCRIPTOR.full_name.partition(".")[0]: each for each in adapter.asked}
        assert by_kind["listentry"].instance.value == "web"
        assert by_kind["listentry"].instance.name == "name"
        who = by_kind["authorization"].instance.subject
        assert (who.user, who.properties["n"].int64_value) == ("web", 5)
        asked = by_kind["quota"]
        assert (asked.quota_request.quotas["hits"].amount, asked.dedup_id) == (4, "id-1")
        (metric,) = by_kind["metric"].instances
        assert metric.value.int64_value == 5
        assert metric.dimensions["ip"].ip_address_value.value == b"\x0a\0\0\x01"
        assert metric.dimensions["took"].duration_value.value.ToTimedelta() == datetime.timedelta(milliseconds=1500)
        config = by_kind["metric"].adapter_config
        assert (config.type_url, config.value) == ("type.googleapis.com/mygrpcadapter.Params", b"\n\x07out.txt")


async def test_a_refusal_refuses() -> None:
    async with _adapter() as adapter, _dispatcher(adapter) as dispatcher:
        adapter.status = 7
        verdict = await dispatcher.check(BAG)
        assert verdict.status.code is Code.PERMISSION_DENIED
        assert "h.istio-system:no" in verdict.status.message


async def test_an_adapter_that_is_gone_is_a_handler_that_failed() -> None:
    async with _adapter() as adapter, _dispatcher(adapter) as dispatcher:
        adapter.status = -1
        verdict = await dispatcher.check(BAG)
        assert verdict.status.code is Code.UNAVAILABLE
        assert "UNAVAILABLE: gone" in verdict.status.message


async def test_a_session_is_made_once_told_of_the_types_and_made_anew_after_a_failure() -> None:
    async with _adapter() as adapter, _dispatcher(adapter, sessions=True) as dispatcher:
        for _ in range(3):
            assert (await dispatcher.check(BAG)).status.ok
        assert adapter.sessions == 1
        assert {each.adapter_config.value for each in adapter.asked} == {b"session-1"}
        inferred = messages.service("metric").inferred.FromString(adapter.inferred["size.istio-system"].value)
        assert (inferred.value, dict(inferred.dimensions)) == (2, {"ip": 6, "took": 10})
        adapter.status = -1
        await dispatcher.check(BAG)
        adapter.status = 0
        assert (await dispatcher.check(BAG)).status.ok
        assert adapter.sessions == 2
    assert adapter.closed == ["session-2"]


@pytest.mark.parametrize(
    ("info", "handler", "said"),
    [
        ({"templates": ["metric"]}, {"adapter": "theirs"}, "spec.adapter refers to adapter 'theirs', not found"),
        ({"templates": ["mystery"]}, {}, "takes the template mystery, which cannot be handed to other processes"),
        ({"templates": ["metric"], "config": "%%"}, {}, "no file descriptor set in base64"),
        ({"templates": ["metric"], "config": _config()}, {"params": {"file": 3}}, "do not fit the adapter's Params"),
        ({"templates": ["metric"]}, {"params": {"a": 1}}, "are not known: the adapter has no descriptor"),
    ],
)
def test_what_cannot_be_called_is_told(info: dict[str, Any], handler: dict[str, Any], said: str) -> None:
    spec = {"adapter": "mine", "connection": {"address": "127.0.0.1:1"}, **handler}
    rules = rules_of(
        accepted("adapter", "mine", info),
        accepted("handler", "h", spec),
        instance("size", "metric", {"value": "request.size"}),
        rule("r", "", "h", ("size",)),
    )
    assert any(said in f"{each.message}" for each in rules.problems), [str(each) for each in rules.problems]
    assert not rules.rules


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"adapter": "mine"}, "connection"),
        (
            {"adapter": "mine", "connection": {"address": "a:1", "authentication": {"tls": {"oauth": {}}}}},
            "connection.authentication.tls.oauth",
        ),
    ],
)
def test_a_connection_that_cannot_be_made_is_told(spec: dict[str, Any], path: str) -> None:
    value, findings = decode(Handler, spec)
    assert not findings
    assert f"spec.{path}" in {each.text.partition(" ")[0] for each in check_handler(value)}
