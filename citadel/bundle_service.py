"""What agents ask of the control plane besides certificates: bundles to trust, followed, and JWT-SVIDs.

By the messages of SPIFFE's Workload API, which agents hand on to their workloads; the X.509-SVID itself is not served,
since its key is made beside the workload. The identity is that of the caller's certificate or evidence, as for the CSR
service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from citadel import jwt_svid
from citadel.callers import CallerError
from citadel.csr_service import Identify
from citadel.identity import SpiffeId
from citadel.jwt_key import JwtKey
from citadel.jwt_svid import JwtSvidError
from citadel.trust import Trust
from citadel.workload_messages import (
    SERVICE,
    JWTBundlesResponse,
    JWTSVIDRequest,
    JWTSVIDResponse,
    X509BundlesResponse,
)

log = logging.getLogger(__name__)


def bundle_service(
    trust: Trust, key: JwtKey, identify: Identify, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> grpc.GenericRpcHandler:
    """The service, for a server that hands over raw bytes."""

    def stream(compose: Callable[[], bytes]) -> Any:
        async def serve(_: bytes, context: Any) -> None:
            try:
                await identify(context)
            except CallerError as error:
                await context.abort(error.code, error.details)
            await _follow(trust, compose, context)

        return grpc.unary_stream_rpc_method_handler(serve)

    async def fetch_jwt_svid(data: bytes, context: Any) -> bytes:
        try:
            caller = await identify(context)
            return _jwt_svid(key, caller.spiffe, data, clock())
        except CallerError as error:
            await context.abort(error.code, error.details)
        raise AssertionError("abort does not return")

    methods = {
        "FetchX509Bundles": stream(lambda: _bundles(X509BundlesResponse, trust.x509())),
        "FetchJWTBundles": stream(lambda: _bundles(JWTBundlesResponse, trust.jwt())),
        "FetchJWTSVID": grpc.unary_unary_rpc_method_handler(fetch_jwt_svid),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


async def _follow(trust: Trust, compose: Callable[[], bytes], context: Any) -> None:
    """The present state, and each later one that differs."""
    news = asyncio.Event()
    stop = trust.listen(news.set)
    told = None
    try:
        while True:
            news.clear()
            message = compose()
            if message != told:
                await context.write(message)
                told = message
            await news.wait()
    finally:
        stop()


def _bundles(message: Any, bundles: Mapping[str, bytes]) -> bytes:
    return bytes(message(bundles=bundles).SerializeToString(deterministic=True))


def _jwt_svid(key: JwtKey, spiffe: SpiffeId, data: bytes, now: datetime) -> bytes:
    try:
        request = JWTSVIDRequest.FromString(data)
        token = jwt_svid.make(key.key, key.kid, spiffe, tuple(request.audience), now)
    except (DecodeError, JwtSvidError) as error:
        raise CallerError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None
    if request.spiffe_id not in ("", str(spiffe)):
        log.warning("audit: %s asked for a JWT-SVID of %r; it was not given", spiffe, request.spiffe_id[:200])
        raise CallerError(grpc.StatusCode.PERMISSION_DENIED, f"the caller is {spiffe}, and nobody else")
    return bytes(JWTSVIDResponse(svids=[{"spiffe_id": str(spiffe), "svid": token}]).SerializeToString())
