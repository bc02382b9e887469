"""Adapters in processes of their own, over gRPC, as Istio's: the kinds `adapter` and `handler` with a `connection`.

Not found by a name in HANDLERS: `mixer.rules` makes a type of each adapter object with the connection of its handler.
An adapter without sessions is given its parameters with each call; one with sessions once, before the first.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import functools
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from galley.document import Path as Where
from galley.finding import Finding
from galley.kinds.mixer import AdapterInfo, AuthHeader, Connection
from mixer.handler import HandlerType, Instance, InstanceType, Surroundings
from mixer.result import CheckResult, QuotaArgs, QuotaResult
from mixer.status import Code, Status
from mixer.wire import adapter_messages as messages

_SESSION = "google.protobuf.Any.type_url"
"""The type of an adapter_config that holds a session's id, as the interface has it."""


@attrs.frozen
class RemoteParams:
    """An adapter's parameters, or the id of a session, as the Any that it is given."""

    type_url: str = ""
    value: bytes = b""


@attrs.frozen(eq=False)
class RemoteHandlerType(HandlerType[RemoteParams]):
    """An adapter object and a connection to it; `message` is the class of the parameters, None if it has none."""

    message: Any = None

    def parse(self, params: Mapping[str, Any], path: Where = ("spec", "params")) -> tuple[RemoteParams, list[Finding]]:
        if self.message is None:
            if params:
                mend = "remove them, or give the adapter's descriptor in the adapter object's config"
                return RemoteParams(), [Finding(path, "are not known: the adapter has no descriptor", mend)]
            return RemoteParams(), []
        filled = self.message()
        try:
            json_format.ParseDict(dict(params), filled)
        except json_format.ParseError as error:
            return RemoteParams(), [Finding(path, f"do not fit the adapter's Params: {error}")]
        value = filled.SerializeToString(deterministic=True)
        return RemoteParams(f"type.googleapis.com/{self.message.DESCRIPTOR.full_name}", value), []


@functools.lru_cache(maxsize=1024)
def remote_type(name: str, info: AdapterInfo, connection: Connection) -> RemoteHandlerType:
    """The type of handlers of this adapter at this address; equal arguments give the same.

    ValueError with what is wrong with the adapter object.
    """
    templates = frozenset(each.partition(".")[0] for each in info.templates)
    unknown = sorted(templates - messages.TEMPLATES)
    if unknown:
        known = ", ".join(sorted(messages.TEMPLATES))
        raise ValueError(f"takes the template {unknown[0]}, which cannot be handed to other processes: use {known}")

    def open_(params: RemoteParams, surroundings: Surroundings) -> RemoteHandler:
        return RemoteHandler(params, info.session_based, connection, surroundings)

    message = params_class(info.config) if info.config else None
    return RemoteHandlerType(name, templates, RemoteParams, open_, message=message)


def params_class(config: str) -> Any:
    """The message Params of a FileDescriptorSet in base64; ValueError if it holds none."""
    files = descriptor_pb2.FileDescriptorSet()
    try:
        files.ParseFromString(base64.b64decode("".join(config.split()), validate=True))
    except (binascii.Error, DecodeError) as error:
        raise ValueError(f"has a config that is no file descriptor set in base64: {error}") from error
    pool, found = DescriptorPool(), ""
    for file in files.file:
        try:
            pool.AddSerializedFile(file.SerializeToString())
        except TypeError as error:
            raise ValueError(f"has a config that lacks what {file.name} imports: {error}") from error
        if any(each.name == "Params" for each in file.message_type):
            found = ".".join(filter(None, (file.package, "Params")))
    if not found:
        raise ValueError("has a config without a message Params")
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(found))


class RemoteHandler:
    """One channel, opened at the first call; after a call that failed a session is made anew."""

    def __init__(
        self, params: RemoteParams, sessions: bool, connection: Connection, surroundings: Surroundings
    ) -> None:
        self._config = params
        self._sessions = sessions
        self._connection = connection
        self._timeout = connection.timeout.total_seconds() if connection.timeout else None
        self._instances = surroundings.instances
        self._types = {(each.name, each.namespace, each.template.name): each.types for each in self._instances}
        self._channel: Any = None
        self._session: RemoteParams | None = None
        self._opening = asyncio.Lock()

    async def check(self, instance: Instance) -> CheckResult:
        answer = await self._handle(instance.template, (instance,))
        status = Status(Code(answer.status.code), answer.status.message)
        return CheckResult(status, _duration(answer.valid_duration), answer.valid_use_count)

    async def report(self, instances: Sequence[Instance]) -> None:
        if instances:
            await self._handle(instances[0].template, instances)

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        answer = await self._handle(instance.template, (instance,), args)
        if instance.name not in answer.quotas:
            raise ValueError(f"the adapter answered for {sorted(answer.quotas)}, not for {instance.name}")
        granted = answer.quotas[instance.name]
        return QuotaResult(granted.granted_amount, _duration(granted.valid_duration))

    async def _handle(self, template: str, instances: Sequence[Instance], quota: QuotaArgs | None = None) -> Any:
        service = messages.service(template)
        request = service.request(dedup_id=quota.deduplication_id if quota else "")
        request.dedup_id = request.dedup_id or uuid.uuid4().hex
        for each in instances:
            message = request.instances.add() if hasattr(request, "instances") else request.instance
            messages.fill(message, each.fields, self._types.get((each.name, each.namespace, template), {}))
            message.name = each.name
            if quota is not None:
                asked = request.quota_request.quotas[each.name]
                asked.amount, asked.best_effort = quota.amount, quota.best_effort
        _set_any(request.adapter_config, await self._given())
        try:
            return await self._call(service.path, request, service.result)
        except Exception:
            self._session = None
            raise

    async def _given(self) -> RemoteParams:
        """The adapter_config of a call: the parameters, or the session that has them."""
        if not self._sessions:
            return self._config
        async with self._opening:
            if self._session is None:
                self._session = RemoteParams(_SESSION, (await self._open_session()).encode())
            return self._session

    async def _open_session(self) -> str:
        asked = self._described(messages.ValidateRequest())
        _refused(await self._call(messages.BACKEND + "Validate", asked, messages.ValidateResponse), "the parameters")
        made = self._described(messages.CreateSessionRequest())
        answer = await self._call(messages.BACKEND + "CreateSession", made, messages.CreateSessionResponse)
        _refused(answer, "a session")
        return str(answer.session_id)

    def _described(self, request: Any) -> Any:
        """The request with the parameters, and the types of the instances by their full names."""
        _set_any(request.adapter_config, self._config)
        for each in self._instances:
            _set_any(request.inferred_types[f"{each.name}.{each.namespace}"], _inferred(each))
        return request

    async def _call(self, path: str, request: Any, answer: Any) -> Any:
        if self._channel is None:
            self._channel = _channel(self._connection, await asyncio.to_thread(_credentials, self._connection))
        call = self._channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
        try:
            return await call(request, timeout=self._timeout, metadata=await _metadata(self._connection))
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(f"{error.code().name}: {error.details()}") from error

    async def close(self) -> None:
        if self._session is not None:
            closing = messages.CloseSessionRequest(session_id=self._session.value.decode())
            await self._call(messages.BACKEND + "CloseSession", closing, messages.CloseSessionResponse)
        if self._channel is not None:
            await self._channel.close()


def _inferred(instance: InstanceType) -> RemoteParams:
    template = instance.template.name
    message = messages.service(template).inferred()
    messages.fill_types(message, instance.types)
    return RemoteParams(f"type.googleapis.com/{template}.Type", message.SerializeToString())


def _set_any(message: Any, value: RemoteParams) -> None:
    message.type_url, message.value = value.type_url, value.value


def _refused(answer: Any, what: str) -> None:
    if answer.status.code:
        raise ValueError(f"the adapter refuses {what}: {answer.status.message or answer.status.code}")


def _duration(message: Any) -> datetime.timedelta:
    made: datetime.timedelta = message.ToTimedelta()
    return made


def _credentials(connection: Connection) -> Any:
    """None for a connection in the clear. Reads the files that the operator named; OSError if it cannot."""
    auth = connection.authentication
    if auth is None or not (auth.tls or auth.mutual):
        return None
    key = chain = None
    if auth.mutual is not None:
        key, chain = Path(auth.mutual.private_key).read_bytes(), Path(auth.mutual.client_certificate).read_bytes()
    peer = auth.mutual or auth.tls
    roots = Path(peer.ca_certificates).read_bytes() if peer and peer.ca_certificates else None
    return grpc.ssl_channel_credentials(roots, key, chain)


def _channel(connection: Connection, credentials: Any) -> Any:
    auth = connection.authentication
    peer = (auth.mutual or auth.tls) if auth else None
    if credentials is None:
        return grpc.aio.insecure_channel(connection.address)
    options = [("grpc.ssl_target_name_override", peer.server_name)] if peer and peer.server_name else []
    return grpc.aio.secure_channel(connection.address, credentials, options=options)


async def _metadata(connection: Connection) -> tuple[tuple[str, str], ...]:
    """The token, read for each call, as files of tokens are changed in place."""
    tls = connection.authentication.tls if connection.authentication else None
    if tls is None or not tls.token_path:
        return ()
    token = (await asyncio.to_thread(Path(tls.token_path).read_text)).strip()
    if tls.custom_header:
        return ((tls.custom_header.lower(), token),)
    return (("authorization", f"Bearer {token}" if tls.auth_header is AuthHeader.BEARER else token),)
