"""A server that answers as a Vault in states that ours does not get into: a standby, a secondary, a quota."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from aiohttp import web
from cryptography import x509

from citadel import identity, profile
from citadel.csr import read_csr
from tests.unit.citadel.ca_sets import CaSet, offline_root

Answer = tuple[int, dict[str, Any]]


@attrs.define
class ScriptedVault:
    """`script` are the answers to the next signatures; when it is at its end, it signs."""

    script: list[Answer] = attrs.field(factory=list)
    ca: CaSet = attrs.field(factory=offline_root)
    signed: int = 0
    at_once: int = 0
    most_at_once: int = 0
    paths: list[str] = attrs.field(factory=list)
    spoil: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    before_signing: Callable[[], Any] | None = None
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> ScriptedVault:
        app = web.Application()
        app.router.add_route("*", "/v1/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.paths.append(path)
        if "/sign/" in path:
            return await self._sign(json.loads(await request.read()))
        issuers = {"int": self.ca.intermediate.certificate, "root": self.ca.root}
        known: dict[str, dict[str, Any]] = {
            "auth/token/lookup-self": {"ttl": 0, "renewable": False},
            "mesh-pki/config/issuers": {"default": "int"},
            "mesh-pki/issuers": {"keys": list(issuers), "key_info": {}},
            **{f"mesh-pki/issuer/{name}": _told(each, name == "int") for name, each in issuers.items()},
        }
        return (
            web.json_response({"data": known[path]}) if path in known else web.json_response({"errors": []}, status=404)
        )

    async def _sign(self, body: dict[str, Any]) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.before_signing is not None:
                await self.before_signing()
            if self.script:
                status, answer = self.script.pop(0)
                return web.json_response(answer, status=status)
            self.signed += 1
            return web.json_response(self.spoil({"data": {"certificate": self._leaf(body)}}))
        finally:
            self.at_once -= 1

    def _leaf(self, body: dict[str, Any]) -> str:
        now = datetime.now(UTC)
        life = timedelta(seconds=int(body["ttl"].removesuffix("s")))
        spiffe = identity.parse(body["uri_sans"])
        key = read_csr(body["csr"]).key
        return profile.pem(profile.leaf(self.ca.intermediate, key, spiffe, now - profile.BACKDATE, now + life, ()))


def _told(certificate: x509.Certificate, has_key: bool) -> dict[str, Any]:
    return {"certificate": profile.pem(certificate), "key_id": "k" if has_key else ""}
