"""SPIFFE's Workload API on the agent's socket, for workloads that take their identity into their own hands.

spiffe.io's SPIFFE_Workload_API.md, both profiles. Who may open the socket is the workload: nobody is asked for more.
Each message of a stream is all there is at its moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError

from citadel import jwt_svid
from citadel.agent.control_plane import ControlPlaneError
from citadel.agent.holdings import Holdings
from citadel.agent.jwt_cache import JwtCache
from citadel.agent.keeper import Keeper
from citadel.jwt_svid import JwtSvidError
from citadel.workload_messages import (
    HEADER,
    SERVICE,
    JWTBundlesResponse,
    JWTSVIDRequest,
    JWTSVIDResponse,
    ValidateJWTSVIDRequest,
    ValidateJWTSVIDResponse,
    X509BundlesResponse,
    X509SVIDResponse,
)

log = logging.getLogger(__name__)
Compose = Callable[[Holdings], bytes]


class ApiError(Exception):
    """The call ends with this status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class WorkloadApi:
    def __init__(self, keeper: Keeper, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keeper = keeper
        self._clock = clock
        self._jwts = JwtCache(keeper, clock)

    def handler(self) -> grpc.GenericRpcHandler:
        streams = {"FetchX509SVID": x509_svid, "FetchX509Bundles": x509_bundles, "FetchJWTBundles": jwt_bundles}
        calls = {"FetchJWTSVID": self._fetch_jwt_svid, "ValidateJWTSVID": self._validate_jwt_svid}
        methods = {name: grpc.unary_stream_rpc_method_handler(self._stream(each)) for name, each in streams.items()}
        methods |= {name: grpc.unary_unary_rpc_method_handler(self._call(each)) for name, each in calls.items()}
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _call(self, answer: Callable[[bytes], Awaitable[bytes]]) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def serve(data: bytes, context: Any) -> bytes:
            try:
                _check_header(context)
                await self._wait_for_identity()
                return await answer(data)
            except ApiError as error:
                await context.abort(error.code, error.details)
            except DecodeError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a request of the Workload API: {error}")
            raise AssertionError("abort does not return")

        return serve

    def _stream(self, compose: Compose) -> Callable[[bytes, Any], Awaitable[None]]:
        async def serve(_: bytes, context: Any) -> None:
            try:
                _check_header(context)
                await self._wait_for_identity()
                await self._tell(compose, context)
            except ApiError as error:
                await context.abort(error.code, error.details)

        return serve

    async def _tell(self, compose: Compose, context: Any) -> None:
        """The present state, and each that differs from the one told before."""
        news = asyncio.Event()
        stop = self._keeper.listen(news.set)
        told = None
        try:
            while True:
                news.clear()
                message = compose(self._keeper.holdings)
                if message and message != told:
                    await context.write(message)
                    told = message
                await news.wait()
        finally:
            stop()

    async def _wait_for_identity(self) -> None:
        """Only for the first try: after that the caller is told how it is, and comes again."""
        await self._keeper.tried.wait()
        held = self._keeper.holdings.svid
        if held is not None and self._clock() < held.not_after:
            return
        problem = self._keeper.problem or "its certificate is over and was not renewed yet"
        if self._keeper.refused:
            raise ApiError(grpc.StatusCode.PERMISSION_DENIED, f"no identity was issued: {problem}")
        raise ApiError(grpc.StatusCode.UNAVAILABLE, f"no identity yet: {problem}")

    async def _fetch_jwt_svid(self, data: bytes) -> bytes:
        request = JWTSVIDRequest.FromString(data)
        audience = tuple(request.audience)
        if not audience or not all(audience):
            raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, "audience is missing: name who the token is for")
        held = self._keeper.holdings.svid
        assert held is not None, "waited for"
        if request.spiffe_id not in ("", str(held.spiffe)):
            log.warning("audit: a JWT-SVID of %r was asked for; it was not given", request.spiffe_id[:200])
            raise ApiError(grpc.StatusCode.PERMISSION_DENIED, f"the workload is {held.spiffe}, and nobody else")
        try:
            token = await self._jwts.get(audience, held)
        except ControlPlaneError as error:
            code = grpc.StatusCode.INVALID_ARGUMENT if error.refused else grpc.StatusCode.UNAVAILABLE
            raise ApiError(code, str(error)) from None
        found = {"spiffe_id": str(held.spiffe), "svid": token}
        return bytes(JWTSVIDResponse(svids=[found]).SerializeToString())

    async def _validate_jwt_svid(self, data: bytes) -> bytes:
        """By the keys of the subject's own trust domain, and no other's."""
        request = ValidateJWTSVIDRequest.FromString(data)
        for name in ("audience", "svid"):
            if not getattr(request, name):
                raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, f"{name} is missing")
        try:
            found = jwt_svid.validate(request.svid, request.audience, self._keeper.holdings.jwt, self._clock())
        except JwtSvidError as error:
            raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, f"the JWT-SVID is not valid: {error}") from None
        claims = struct_pb2.Struct()
        claims.update(dict(found.claims))
        answer = ValidateJWTSVIDResponse(spiffe_id=str(found.spiffe), claims=claims.SerializeToString())
        return bytes(answer.SerializeToString())


def x509_svid(held: Holdings) -> bytes:
    """X509SVIDResponse; foreign bundles stand apart from the own."""
    assert held.svid is not None, "waited for"
    own = {
        "spiffe_id": str(held.svid.spiffe),
        "x509_svid": held.svid.chain_der,
        "x509_svid_key": held.svid.key_der,
        "bundle": held.own_roots,
    }
    foreign = {domain: der for domain, der in held.x509.items() if domain != held.own_domain}
    return bytes(X509SVIDResponse(svids=[own], federated_bundles=foreign).SerializeToString(deterministic=True))


def x509_bundles(held: Holdings) -> bytes:
    return bytes(X509BundlesResponse(bundles=held.x509).SerializeToString(deterministic=True))


def jwt_bundles(held: Holdings) -> bytes:
    """Empty, so not told, until the control plane has told its keys."""
    return bytes(JWTBundlesResponse(bundles=held.jwt).SerializeToString(deterministic=True))


def _check_header(context: Any) -> None:
    if HEADER not in {(key, value) for key, value in context.invocation_metadata() or ()}:
        raise ApiError(
            grpc.StatusCode.INVALID_ARGUMENT, f"the metadata {HEADER[0]}: {HEADER[1]} is missing, which each call needs"
        )
