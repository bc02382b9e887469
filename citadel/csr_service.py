"""Istio's CSR API, `istio.v1.auth.IstioCertificateService`: a key in, a certificate of the caller's identity out.

The identity is the caller's (`callers`), whatever the request's names and metadata say.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from citadel import profile
from citadel.authority import AuthorityError
from citadel.callers import Caller, CallerError
from citadel.csr import LARGEST, CsrError
from citadel.csr_messages import SERVICE, Request, Response
from citadel.issuing import Issuing

log = logging.getLogger(__name__)

_MOST = LARGEST + (4 << 10)
Identify = Callable[[Any], Awaitable[Caller]]
"""From a gRPC context to who calls; raises CallerError."""


def csr_service(issuing: Issuing, identify: Identify) -> grpc.GenericRpcHandler:
    """The service, for a server that hands over raw bytes."""

    async def create(data: bytes, context: Any) -> bytes:
        try:
            caller = await identify(context)
            return await _create(issuing, caller, data)
        except CallerError as error:
            await context.abort(error.code, error.details)
        raise AssertionError("abort does not return")

    method = grpc.unary_unary_rpc_method_handler(create)
    return grpc.method_handlers_generic_handler(SERVICE, {"CreateCertificate": method})


async def _create(issuing: Issuing, caller: Caller, data: bytes) -> bytes:
    """The chain, leaf first and the trusted roots last, each as a PEM text, as Istio's agents read it."""
    if len(data) > _MOST:
        raise CallerError(
            grpc.StatusCode.INVALID_ARGUMENT, f"the request has {len(data)} bytes: at most {_MOST} are read"
        )
    try:
        request = Request.FromString(data)
        ttl = timedelta(seconds=request.validity_duration)
        issued = await issuing.issue(caller.spiffe, request.csr, ttl)
    except OverflowError:
        raise CallerError(grpc.StatusCode.INVALID_ARGUMENT, "validity_duration is no time that can be") from None
    except (DecodeError, CsrError, ValueError) as error:
        raise CallerError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None
    except AuthorityError as error:
        log.warning("%s got no certificate: %s", caller.spiffe, error)
        code = grpc.StatusCode.UNAVAILABLE if error.retry else grpc.StatusCode.INTERNAL
        raise CallerError(code, f"the certificate authority can't sign: {error}") from None
    log.info(
        "certificate for %s until %s", caller.spiffe, issued.not_after, extra={"by": caller.by, "peer": caller.address}
    )
    chain = [*(profile.pem(each) for each in issued.chain), profile.pem(*issuing.roots())]
    return bytes(Response(cert_chain=chain).SerializeToString())
