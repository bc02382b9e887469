"""One Vault, spoken to by hvac: logs in, keeps its token alive, and turns every failure into a sentence with a mend.

For all but signing, which `vault` does itself, since hvac takes 2 ms of processor a call and blocks. Calls here are
synchronous; the callers run them in a thread, one at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import hvac
import hvac.exceptions
import requests
from cryptography import x509

from citadel.authority import AuthorityError
from citadel.vault_issuers import Issuer, Issuers

log = logging.getLogger(__name__)

METHODS = ("token", "approle", "kubernetes", "jwt")
TIMEOUT = 10
"""Seconds."""
HEALTH: Mapping[int, str] = {
    200: "active",
    429: "a standby",
    472: "a disaster recovery secondary, which signs nothing",
    473: "a performance standby",
    501: "not initialized: run vault operator init",
    503: "sealed: run vault operator unseal",
}
"""What `sys/health` answers, by its status (Vault's API documentation, /sys/health)."""
_LATER = {412, 429, 472, 473, 500, 501, 502, 503, 504}


@attrs.frozen
class Login:
    """How to log in. `mount` is where the auth method is, by default its own name; secrets come as text or from files,
    which are read again at each login."""

    method: str = "token"
    mount: str = ""
    role: str = ""
    token: str = attrs.field(default="", repr=False)
    token_file: str = ""
    role_id: str = ""
    secret_id: str = attrs.field(default="", repr=False)
    secret_id_file: str = ""
    jwt_file: str = ""

    def __attrs_post_init__(self) -> None:
        needed = {
            "token": self.token or self.token_file,
            "approle": self.role_id and (self.secret_id or self.secret_id_file),
            "kubernetes": self.role,
            "jwt": self.role and self.jwt_file,
        }
        missing = {
            "token": "--vault-token or --vault-token-file",
            "approle": "--vault-role-id, and --vault-secret-id or --vault-secret-id-file",
            "kubernetes": "--vault-auth-role",
            "jwt": "--vault-auth-role and --vault-jwt-file",
        }
        if self.method not in needed:
            raise ValueError(f"unknown way to log in to Vault {self.method!r}: known are {', '.join(METHODS)}")
        if not needed[self.method]:
            raise ValueError(f"to log in to Vault by {self.method}, give {missing[self.method]}")


KUBERNETES_JWT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@attrs.frozen
class Token:
    """A token's life as it was learnt at `since`; `ttl` zero is a token that does not end."""

    since: datetime
    ttl: timedelta
    renewable: bool

    @property
    def renew_at(self) -> datetime | None:
        return self.since + self.ttl / 2 if self.ttl else None

    @property
    def expires(self) -> datetime | None:
        return self.since + self.ttl if self.ttl else None


class VaultClient:
    """`ca_file` verifies Vault's certificate, by default the system's CAs do. Raises AuthorityError only."""

    def __init__(self, addr: str, login: Login, *, ca_file: str = "", namespace: str = "") -> None:
        self.addr = addr.rstrip("/")
        self.namespace = namespace
        self._login = login
        session = requests.Session()
        session.trust_env = False
        self._client = hvac.Client(
            self.addr, verify=ca_file or True, timeout=TIMEOUT, namespace=namespace or None, session=session
        )
        session.verify = ca_file or True
        self.token: Token | None = None

    @property
    def secret(self) -> str:
        """The token that requests carry."""
        return str(self._client.token or "")

    def log_in(self, now: datetime) -> None:
        """A fresh token, by the configured method."""
        login, auth = self._login, self._client.auth
        mount = login.mount or login.method
        match login.method:
            case "token":
                self._client.token = login.token or _secret(login.token_file, "--vault-token-file")
            case "approle":
                secret = login.secret_id or _secret(login.secret_id_file, "--vault-secret-id-file")
                self._call("log in", lambda: auth.approle.login(login.role_id, secret, mount_point=mount))
            case "kubernetes":
                jwt = _secret(login.jwt_file or KUBERNETES_JWT, "--vault-jwt-file")
                self._call("log in", lambda: auth.kubernetes.login(login.role, jwt, mount_point=mount))
            case _:
                jwt = _secret(login.jwt_file, "--vault-jwt-file")
                found = self._call("log in", lambda: auth.jwt.jwt_login(login.role, jwt, path=mount))
                self._client.token = found["auth"]["client_token"]
        self._look_up(now)

    def keep_token(self, now: datetime) -> None:
        """Renews the token once half of its life is over; logs in again when it can't be renewed any further."""
        token = self.token
        if token is None:
            self.log_in(now)
        elif token.renew_at is not None and now >= token.renew_at:
            self._renew(token, now)

    def check_token(self, now: datetime) -> bool:
        """After a refusal: whether the token itself is good, so that permission is what lacks. Logs in if it is not."""
        try:
            self._look_up(now)
        except AuthorityError as error:
            if error.retry:
                raise
            log.warning("the Vault token is no longer accepted; logging in again", extra={"method": self._login.method})
            self.log_in(now)
            return False
        return True

    def read(self, path: str) -> dict[str, Any]:
        """The data of a path; AuthorityError if there is none."""
        found = self._call(f"read {path}", lambda: self._client.adapter.get(f"/v1/{path}"))
        return dict(_plain(found)["data"])

    def exists(self, path: str) -> bool:
        """Whether something can be read there."""
        try:
            return bool(_plain(self._client.adapter.get(f"/v1/{path}")))
        except (hvac.exceptions.InvalidPath, hvac.exceptions.InvalidRequest):
            return False
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise explained(f"read {path}", error) from None

    def list(self, path: str) -> dict[str, Any]:
        """Keys below a path, and what is told of each; empty if there are none."""
        try:
            found = _plain(self._client.adapter.get(f"/v1/{path}", params={"list": "true"}))["data"]
        except hvac.exceptions.InvalidPath:
            return {}
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise explained(f"list {path}", error) from None
        details = found.get("key_info") or {}
        return {key: details.get(key, {}) for key in found["keys"]}

    def write(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """What a write answers; empty for an answer without data."""
        found = _plain(self._call(f"write {path}", lambda: self._client.adapter.post(f"/v1/{path}", json=dict(body))))
        return dict(found.get("data") or {})

    def delete(self, path: str) -> None:
        self._call(f"delete {path}", lambda: self._client.adapter.delete(f"/v1/{path}"))

    def health(self) -> str:
        """What state this Vault says it is in."""
        try:
            response = requests.get(f"{self.addr}/v1/sys/health", timeout=TIMEOUT, verify=self._client.session.verify)
        except requests.RequestException as error:
            raise explained("ask for its health", error) from None
        return HEALTH.get(response.status_code, f"in a state of its own (HTTP {response.status_code})")

    def close(self) -> None:
        self._client.session.close()

    def _renew(self, token: Token, now: datetime) -> None:
        if token.renewable:
            try:
                found = self._client.auth.token.renew_self()["auth"]
                life = timedelta(seconds=int(found["lease_duration"]))
                if life > token.ttl / 2:
                    self.token = Token(now, life, bool(found["renewable"]))
                    return
            except (hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest):
                log.info("the Vault token can't be renewed any further; logging in again")
            except (hvac.exceptions.VaultError, requests.RequestException) as error:
                raise explained("renew the token", error) from None
        self.log_in(now)

    def _look_up(self, now: datetime) -> None:
        found = self._call("look up the token", self._client.auth.token.lookup_self)["data"]
        self.token = Token(now, timedelta(seconds=int(found["ttl"])), bool(found.get("renewable")))

    def _call(self, what: str, work: Any) -> Any:
        try:
            return work()
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise explained(what, error) from None


def read_issuers(client: VaultClient, mount: str, known: Issuers | None = None) -> Issuers:
    """What a PKI mount holds now. An issuer that is `known` is not read again: its certificate never changes."""
    default = str(client.read(f"{mount}/config/issuers").get("default") or "")
    before = known.by_id if known else {}
    listed = client.list(f"{mount}/issuers")
    return Issuers({each: before.get(each) or _read_issuer(client, mount, each) for each in listed}, default)


def _read_issuer(client: VaultClient, mount: str, name: str) -> Issuer:
    data = client.read(f"{mount}/issuer/{name}")
    try:
        certificate = x509.load_pem_x509_certificate(str(data["certificate"]).encode())
    except (KeyError, ValueError) as error:
        raise AuthorityError(f"issuer {name} of Vault's mount {mount} can't be read: {error}") from None
    return Issuer(name, certificate, bool(data.get("key_id")))


def explained(what: str, error: Exception) -> AuthorityError:
    """An hvac or requests error as a sentence. Secrets are in neither: hvac's texts are Vault's own."""
    if isinstance(error, requests.RequestException):
        reason = "its certificate is not trusted: give --vault-ca-file" if _untrusted(error) else type(error).__name__
        return AuthorityError(f"Vault can't be reached to {what}: {reason}", retry=not _untrusted(error))
    status = _STATUS.get(type(error), 0)
    text = "; ".join(str(each) for each in getattr(error, "errors", None) or ()) or str(error)
    return refused(what, status, text)


def refused(what: str, status: int, text: str) -> AuthorityError:
    """An answer of Vault's with a status of 400 or more. Status 429 is a quota, except when health is asked for."""
    text = " ".join(text.split())[:300]
    if status in _LATER or "sealed" in text.lower():
        meaning = {412: "not caught up with itself", 429: "limiting the rate of requests"}.get(status)
        meaning = meaning or HEALTH.get(status, f"failing (HTTP {status})")
        return AuthorityError(f"Vault is {meaning}; it could not {what}: {text}", retry=True)
    if status == 403:
        return AuthorityError(
            f"Vault does not permit this token to {what}: give it the policy that "
            f"`mesh-adapter cert init-vault --print-policy` prints ({text})"
        )
    if status == 404:
        return AuthorityError(f"Vault has nothing there to {what}, or hides it from this token ({text or 'HTTP 404'})")
    return AuthorityError(f"Vault refuses to {what}: {text or f'HTTP {status}'}")


_STATUS: Mapping[type, int] = {
    hvac.exceptions.InvalidRequest: 400,
    hvac.exceptions.Unauthorized: 401,
    hvac.exceptions.Forbidden: 403,
    hvac.exceptions.InvalidPath: 404,
    hvac.exceptions.RateLimitExceeded: 429,
    hvac.exceptions.InternalServerError: 500,
    hvac.exceptions.VaultNotInitialized: 501,
    hvac.exceptions.BadGateway: 502,
    hvac.exceptions.VaultDown: 503,
    hvac.exceptions.UnexpectedError: 500,
}


def _untrusted(error: requests.RequestException) -> bool:
    return isinstance(error, requests.exceptions.SSLError)


def _plain(answer: Any) -> dict[str, Any]:
    """hvac gives JSON for most answers and a response for those without a body."""
    return answer if isinstance(answer, dict) else {}


def _secret(path: str, option: str) -> str:
    try:
        found = Path(path).read_text().strip()
    except OSError as error:
        raise AuthorityError(f"{option} {path}: {error.strerror}", retry=True) from None
    if not found:
        raise AuthorityError(f"{option} {path} is empty", retry=True)
    return found
