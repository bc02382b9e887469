"""The open handlers of a RuleSet: which are kept, opened and closed as configurations follow each other.

Each is called through `OpenHandler.call`, which is where one handler's trouble is kept from everything else: deadline,
circuit breaker, a bound on waiting calls, answers of the wrong type. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mixer.handler import Handler, Surroundings
from mixer.isolation import Guard
from mixer.ruleset import HandlerConfig

log = logging.getLogger(__name__)

CLOSE_TIMEOUT = 5.0
REOPEN = 5.0
"""Seconds until a handler that could not be opened is tried again."""
_THREADS = 8


class HandlerError(Exception):
    """The handler gave no answer that counts; says why."""


class OpenHandler:
    """One handler and what is known of how it does. `calls` and `failures` count since it was opened."""

    def __init__(self, config: HandlerConfig, services: Mapping[str, Any]) -> None:
        self.config = config
        self.calls = 0
        self.failures = 0
        self.last_failure = ""
        self._services = services
        self._guard = Guard()
        self._handler: Handler | None = None
        self._opened_at = float("-inf")
        self._threads: ThreadPoolExecutor | None = None
        self._users = 0
        self._open()

    @property
    def circuit_open(self) -> bool:
        return self._guard.open

    def _open(self) -> None:
        config = self.config
        self._opened_at = time.monotonic()
        surroundings = Surroundings(config.name, config.instances, time.monotonic, time.time, self._services)
        try:
            self._handler = config.type.open(config.params, surroundings)
        except Exception as error:
            self.last_failure = f"cannot be opened: {error}"
            log.warning("handler %s: %s", config.name, self.last_failure, exc_info=True)

    def call(
        self, method: str, answer: type | tuple[type, ...], timeout: float, *arguments: Any
    ) -> Any | Awaitable[Any]:
        """The handler's answer, or an awaitable of it; both ways HandlerError if there is none that counts."""
        self.calls += 1
        refusal = self._guard.enter(time.monotonic())
        if refusal:
            self.last_failure = refusal
            raise HandlerError(f"{self.config.name}: {refusal}")
        try:
            function = self._method(method)
            if self._threads is not None or self.config.type.threaded:
                got: Any = asyncio.get_running_loop().run_in_executor(self._pool(), function, *arguments)
            else:
                got = function(*arguments)
        except Exception as error:
            raise self._failed(error) from error
        if got.__class__ is answer or not inspect.isawaitable(got):
            return self._checked(got, answer)
        return self._awaited(got, answer, timeout)

    def _method(self, method: str) -> Callable[..., Any]:
        if self._handler is None and time.monotonic() - self._opened_at >= REOPEN:
            self._open()
        if self._handler is None:
            raise HandlerError(self.last_failure)
        function: Callable[..., Any] = getattr(self._handler, method)
        return function

    async def _awaited(self, waiting: Awaitable[Any], answer: type | tuple[type, ...], timeout: float) -> Any:
        try:
            if asyncio.current_task() is None:
                await asyncio.sleep(0)  # the server begins calls outside of a task, and goes on in one
            async with asyncio.timeout(timeout):
                got = await waiting
        except (asyncio.CancelledError, GeneratorExit):
            self._guard.abandoned()
            raise
        except TimeoutError as error:
            raise self._failed(TimeoutError(f"no answer within {timeout:g} s")) from error
        except Exception as error:
            raise self._failed(error) from error
        return self._checked(got, answer)

    def _checked(self, got: Any, answer: type | tuple[type, ...]) -> Any:
        if not isinstance(got, answer):
            raise self._failed(TypeError(f"answered nonsense ({type(got).__name__})"))
        self._guard.succeeded()
        return got

    def _failed(self, error: Exception) -> HandlerError:
        self._guard.failed(time.monotonic())
        self.failures += 1
        self.last_failure = str(error) or type(error).__name__
        return HandlerError(f"{self.config.name}: {self.last_failure}")

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=self.config.name)
        return self._threads

    async def close(self) -> None:
        """Lets the handler flush; never raises, never waits longer than CLOSE_TIMEOUT."""
        try:
            if self._handler is not None:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._handler.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others close too
            log.warning("handler %s did not close: %s", self.config.name, error or type(error).__name__)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
