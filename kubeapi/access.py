"""One connection to an API server: requests, streams, and credentials that are renewed while it runs.

Used by `kubeapi.reflector` and by `galley.ingest.kubernetes`. The maintained client library reads kubeconfig files,
runs exec plug-ins, knows the files of a pod and sets up TLS and proxies; requests go over its connection pool as raw
bytes, since its models cost many times what JSON costs (docs/adr). Here the library is imported, and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import urllib.parse
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import urllib3
import yaml

from kubeapi.errors import AnswerError, DeniedError, KubernetesError, UnreachableError, error_of
from kubeapi.reading import parsed

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
"""The variable that a pod has."""
_UNUSABLE = (OSError, AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError)
"""What the library lets through when a kubeconfig is not there, or not what it should be."""
_KEEPALIVE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""A peer that vanished without a word is noticed after half a minute, though a watch may be silent for minutes."""


@attrs.frozen
class Access:
    """How to reach the API server. `kubeconfig`: a file, or several joined by colons; `context`: one of its contexts.

    Without a file: what a pod is given in `account_folder`, if this runs in one, else ~/.kube/config.
    """

    kubeconfig: str = ""
    context: str = ""
    account_folder: str = "/var/run/secrets/kubernetes.io/serviceaccount"

    @property
    def in_cluster(self) -> bool:
        return not self.kubeconfig and IN_CLUSTER in os.environ

    def check(self) -> None:
        """ValueError for files and names that can't be used. Runs no plug-in, connects to nothing."""
        if self.in_cluster:
            if self.context:
                raise ValueError("a context is of a kubeconfig: name that file too")
            return
        config = _library()
        try:
            contexts, _ = config.list_kube_config_contexts(self.kubeconfig or None)
        except (config.ConfigException, *_UNUSABLE) as fault:
            raise ValueError(f"kubeconfig {self._name}: {fault}") from fault
        names = sorted(str(context.get("name")) for context in contexts)
        if self.context and self.context not in names:
            raise ValueError(f"kubeconfig {self._name} has no context {self.context!r}: it has {', '.join(names)}")

    def load(self) -> Any:
        """The library's configuration, read anew: files, environment, plug-ins. DeniedError if it can't be."""
        config = _library()
        from kubernetes.client import Configuration

        loaded = Configuration()
        loaded.socket_options = list(_KEEPALIVE)
        loaded.connection_pool_maxsize = 128
        try:
            if self.in_cluster:
                self._load_account(loaded)
            else:
                file, context = self.kubeconfig or None, self.context or None
                config.load_kube_config(file, context, client_configuration=loaded, persist_config=False)
        except (config.ConfigException, *_UNUSABLE) as fault:
            raise DeniedError(f"{self}: {fault}") from fault
        return loaded

    def _load_account(self, loaded: Any) -> None:
        from kubernetes.config.incluster_config import InClusterConfigLoader

        token, authority = (os.path.join(self.account_folder, name) for name in ("token", "ca.crt"))
        InClusterConfigLoader(token_filename=token, cert_filename=authority).load_and_set(loaded)

    def __str__(self) -> str:
        return "the pod's service account" if self.in_cluster else f"kubeconfig {self._name}"

    @property
    def _name(self) -> str:
        return self.kubeconfig or "~/.kube/config"


def _library() -> Any:
    """The library's module of configurations; ValueError that says how to install it if it is not there."""
    try:
        from kubernetes import config
    except ImportError as fault:
        raise ValueError("the Kubernetes client is not installed: pip install 'mesh-adapter[kubernetes]'") from fault
    return config


@attrs.frozen(eq=False)
class _Session:
    """One reading of the credentials, and the connections made with it."""

    configuration: Any
    pool: Any

    @classmethod
    def of(cls, access: Access) -> _Session:
        from kubernetes.client.rest import RESTClientObject

        configuration = access.load()
        try:
            return cls(configuration, RESTClientObject(configuration).pool_manager)
        except (OSError, ValueError) as fault:
            raise DeniedError(f"{access}: {fault}") from fault

    def headers(self) -> dict[str, str]:
        """Credentials; the library refreshes a token that has a known end by itself. DeniedError if it can't."""
        try:
            settings = self.configuration.auth_settings().values()
        except (_library().ConfigException, OSError) as fault:
            raise DeniedError(f"the token can't be read: {fault}") from fault
        found = {each["key"]: each["value"] for each in settings if each["in"] == "header" and each["value"]}
        return found | {"Accept": "application/json", "User-Agent": "mesh-adapter"}


class Stream:
    """An answer that is read while it comes; its lines end when the server ends it or `close` cuts it."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def lines(self) -> Iterator[bytes]:
        """Each line as soon as it is whole. UnreachableError if the connection breaks, or is silent for too long."""
        rest = b""
        try:
            for chunk in self._response.stream(None):
                rest += chunk
                if b"\n" in chunk:
                    *whole, rest = rest.split(b"\n")
                    yield from (line for line in whole if line)
        except urllib3.exceptions.HTTPError as fault:
            raise UnreachableError(f"the watch was cut: {fault}") from fault
        finally:
            self._response.close()

    def close(self) -> None:
        """Cut it; from any thread."""
        sock = getattr(getattr(self._response, "connection", None), "sock", None)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # Not SSLSocket's own: it would unwrap TLS below a thread that is reading from it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Api:
    """Thread-safe. Credentials are read at the first request, and again when the server does not believe them."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._closed = False

    def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """The body of an answer; a KubernetesError if there is none or it is an error's."""
        return bytes(self._ask(path, params, READ_TIMEOUT).data)

    def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer to a JSON object sent; a KubernetesError as with `get`. Not repeated but for a 401."""
        return bytes(self._ask(path, None, READ_TIMEOUT, body).data)

    def watch(self, path: str, params: Mapping[str, str], silence: float) -> Stream:
        """Begin to read a watch that may be silent for so many seconds."""
        stream = Stream(self._ask(path, params, silence))
        self._streams.add(stream)
        if self._closed:
            stream.close()
        return stream

    def close(self) -> None:
        """Cut all streams and refuse requests from now on; from any thread, more than once."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        with self._lock:
            self._forget_session()

    def _ask(
        self, path: str, params: Mapping[str, str] | None, timeout: float, body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        session = self._current(None)
        response = self._once(session, path, params, timeout, body)
        if response.status == 401:
            response.release_conn()
            response = self._once(self._current(session), path, params, timeout, body)
        if response.status >= 300:
            raise _error(path, response, self.access)
        return response

    def _current(self, refused: _Session | None) -> _Session:
        """The session to use; a new one in the place of one that was refused (once, if several threads come)."""
        with self._lock:
            if self._session is None or self._session is refused:
                self._forget_session()
                self._session = _Session.of(self.access)
            return self._session

    def _forget_session(self) -> None:
        """Connections that are in use are closed when they are given back."""
        if self._session is not None:
            self._session.pool.clear()
            self._session = None

    def _once(
        self, session: _Session, path: str, params: Mapping[str, str] | None, timeout: float, body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        if self._closed:
            raise UnreachableError("closed")
        query = f"?{urllib.parse.urlencode(params)}" if params else ""
        limits = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout)
        try:
            response: urllib3.BaseHTTPResponse = session.pool.urlopen(
                "GET" if body is None else "POST",
                session.configuration.host + path + query,
                body=body,
                headers=session.headers() | ({} if body is None else {"Content-Type": "application/json"}),
                retries=False,
                redirect=False,
                timeout=limits,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as fault:
            raise UnreachableError(f"{session.configuration.host}: {_reason(fault)}") from fault
        return response


def _error(path: str, response: urllib3.BaseHTTPResponse, access: Access) -> KubernetesError:
    """What the status and its Status object say."""
    try:
        body = response.data
        said = parsed(body)
        text = str(said.get("message") or said.get("reason") or "")
    except (AnswerError, AttributeError, urllib3.exceptions.HTTPError):
        text = response.reason or ""
    pause = response.headers.get("Retry-After", "")
    who = f" ({access})" if response.status == 401 else ""
    return error_of(response.status, f"{text[:300]} for {path}{who}", float(pause) if pause.isdigit() else None)


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """The part of urllib3's message that a person reads: without object addresses."""
    said = str(error)
    return said.split(": ", 1)[1] if " object at 0x" in said and ": " in said else said
