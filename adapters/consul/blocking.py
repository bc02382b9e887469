"""The rules of Consul's blocking queries, without the queries: what an answer or a failure does to the next request.

Called by the pollers of `adapters.consul.watch`. Pure: time and chance are arguments. Source: Consul's page on blocking
queries, and its issues #3890, #2216, #7939.
"""

from __future__ import annotations

import attrs

TIMEOUT_MARGIN = 10.0


@attrs.frozen
class Cursor:
    """Where one blocking query stands. `index` is what to ask with; 0 asks for an answer at once.

    `last` is the index of the last answer, whatever was reset since, so that an agent that restarted with nothing is
    told from one that was away for a moment. `body` is the last answer's, since an answer is not a change.
    """

    index: int = 0
    last: int = 0
    body: bytes = b""
    failures: int = 0


@attrs.frozen
class Turn:
    """What an answer means: is the content another, did the index go back, was the agent away before.

    `since` is the index of the answer before, 0 if that can't be compared with this one's.
    """

    cursor: Cursor
    since: int
    changed: bool
    went_back: bool
    recovered: bool


def answered(cursor: Cursor, index: int | None, body: bytes) -> Turn:
    """The query was answered with this index header (None if it was missing or no number)."""
    header = max(index or 0, 1)  # asking with 0 would never block: the query would spin
    went_back = header < cursor.last
    following = Cursor(index=0 if went_back else header, last=header, body=body)
    return Turn(
        cursor=following,
        since=0 if went_back or cursor.failures else cursor.last,
        changed=body != cursor.body or went_back,
        went_back=went_back,
        recovered=cursor.failures > 0,
    )


def failed(cursor: Cursor, overloaded: bool = False) -> Cursor:
    """No answer. The next query asks for everything: an agent that restarted may never reach the old index.

    An agent that is `overloaded` is the same as before, and need not send everything again.
    """
    return attrs.evolve(cursor, index=cursor.index if overloaded else 0, failures=cursor.failures + 1)


def read_timeout(wait: float) -> float:
    """Seconds until a blocking query counts as lost: the server adds up to a sixteenth of `wait`."""
    return wait * 17 / 16 + TIMEOUT_MARGIN
