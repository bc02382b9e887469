"""Bags of attributes to and from istio.mixer.v1.CompressedAttributes.

Every name and string goes as the index of a word: 0 and above in the global dictionary, -1, -2, … in the message's own
list (mixer/v1/attributes.proto). What comes in is hostile until it was decoded here: an index that is in no list, one
attribute twice, a list or a bag without bounds, a time that does not exist is a `WireError`, which the server answers
with INVALID_ARGUMENT. Pure.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mixer.attributes import Bag, Value
from mixer.wire import dictionary, messages

MAX_ATTRIBUTES = 10_000
"""Attributes and words that one message may hold, entries of maps counted: far above what a request has."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class WireError(ValueError):
    """A message that breaks the protocol; the text names what and where."""


class UnknownWordError(WireError):
    """An index above the global words that both sides know: Istio's client then tries again with fewer."""


@attrs.frozen
class Words:
    """Both lists that an index may point into."""

    own: Sequence[str]
    shared: int = len(dictionary.GLOBAL)
    """How many of the global words the sender knows: CheckRequest.global_word_count."""

    def at(self, index: int) -> str:
        if index >= 0:
            if index >= self.shared or index >= len(dictionary.GLOBAL):
                raise UnknownWordError(
                    f"word {index} is not in the global dictionary of {min(self.shared, len(dictionary.GLOBAL))} words"
                )
            return dictionary.GLOBAL[index]
        if -index > len(self.own):
            raise WireError(f"word {index} is not in the message's own list of {len(self.own)} words")
        return self.own[-index - 1]


def decode(message: Any, words: Words, into: dict[str, Value] | None = None) -> dict[str, Value]:
    """The bag of a CompressedAttributes; with `into`, laid over that one (a report's delta encoding).

    Raises WireError, UnknownWordError.
    """
    _hold_bounds(message, words)
    bag: dict[str, Value] = {}
    for index, word in message.strings.items():
        _put(bag, words.at(index), words.at(word))
    for scalars in (message.int64s, message.doubles, message.bools, message.bytes):
        for index, value in scalars.items():
            _put(bag, words.at(index), value)
    for index, timestamp in message.timestamps.items():
        _put(bag, name := words.at(index), _datetime(timestamp, name))
    for index, duration in message.durations.items():
        _put(bag, name := words.at(index), _timedelta(duration, name))
    for index, entries in message.string_maps.items():
        _put(bag, words.at(index), _string_map(entries.entries, words))
    return bag if into is None else {**into, **bag}


def _hold_bounds(message: Any, words: Words) -> None:
    count = len(words.own) + sum(len(entries.entries) for entries in message.string_maps.values())
    for field in ("strings", "int64s", "doubles", "bools", "timestamps", "durations", "bytes", "string_maps"):
        count += len(getattr(message, field))
    if count > MAX_ATTRIBUTES:
        raise WireError(f"{count} attributes and words; at most {MAX_ATTRIBUTES} are read")


def _put(bag: dict[str, Value], name: str, value: Value) -> None:
    if name in bag:
        raise WireError(f"attribute {name} stands there twice")
    bag[name] = value


def _string_map(entries: Mapping[int, int], words: Words) -> dict[str, str]:
    read = {words.at(key): words.at(value) for key, value in entries.items()}
    if len(read) != len(entries):
        raise WireError("a key of a string map stands there twice")
    return read


def _datetime(value: Timestamp, name: str) -> datetime.datetime:
    try:
        return _EPOCH + datetime.timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
    except OverflowError:
        raise WireError(f"attribute {name}: {value.seconds} s is outside the years 1 to 9999") from None


def _timedelta(value: Duration, name: str) -> datetime.timedelta:
    try:
        return datetime.timedelta(seconds=value.seconds, microseconds=value.nanos / 1000)
    except OverflowError:
        raise WireError(f"attribute {name}: a duration of {value.seconds} s is out of range") from None


class Encoder:
    """Writes bags as CompressedAttributes that share one list of own words: those of a Check, or of a whole Report.

    Not for two threads at once.
    """

    def __init__(self, shared: int = len(dictionary.GLOBAL)) -> None:
        self._shared = shared
        self._own: dict[str, int] = {}

    @property
    def own(self) -> list[str]:
        """The words so far that are not in the global dictionary, in the order of their indexes."""
        return list(self._own)

    def index(self, word: str) -> int:
        """The word's index; a new one joins the own list."""
        known = dictionary.INDEX.get(word)
        if known is not None and known < self._shared:
            return known
        return self._own.setdefault(word, -len(self._own) - 1)

    def attributes(self, bag: Bag) -> Any:
        """A CompressedAttributes without `words`: the caller puts `own` where its message wants them.

        Raises WireError for a value of a type that the protocol does not have.
        """
        message = messages.CompressedAttributes()
        for name, value in bag.items():
            self._add(message, self.index(name), name, value)
        return message

    def _add(self, message: Any, index: int, name: str, value: Value) -> None:
        match value:
            case str():
                message.strings[index] = self.index(value)
            case bool():
                message.bools[index] = value
            case int():
                message.int64s[index] = value
            case float():
                message.doubles[index] = value
            case bytes():
                message.bytes[index] = value
            case datetime.datetime():
                message.timestamps[index].CopyFrom(_timestamp(value))
            case datetime.timedelta():
                message.durations[index].FromTimedelta(value)
            case Mapping():
                entries = message.string_maps[index].entries
                for key, item in value.items():
                    entries[self.index(key)] = self.index(item)
            case _:
                raise WireError(f"attribute {name}: the protocol has no {type(value).__name__}")


def _timestamp(value: datetime.datetime) -> Any:
    since = value - _EPOCH
    return _TIMESTAMP(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


_TIMESTAMP: Any = type(messages.CompressedAttributes().timestamps[0])


def compressed(bag: Bag, shared: int = len(dictionary.GLOBAL)) -> Any:
    """One bag with its own words: the `attributes` of a CheckRequest."""
    encoder = Encoder(shared)
    message = encoder.attributes(bag)
    message.words.extend(encoder.own)
    return message


def reports(bags: Iterable[Bag]) -> Any:
    """A ReportRequest of all bags, in delta encoding: each message says what differs from the one before.

    An attribute that goes away between two bags cannot be told by a delta; such a report is encoded independently.
    """
    encoder = Encoder()
    kept = list(bags)
    delta = all(before.keys() <= after.keys() for before, after in itertools.pairwise(kept))
    request = messages.ReportRequest(
        repeated_attributes_semantics="DELTA_ENCODING" if delta else "INDEPENDENT_ENCODING",
        global_word_count=len(dictionary.GLOBAL),
    )
    before: Bag = {}
    for bag in kept:
        told = {name: value for name, value in bag.items() if before.get(name) != value} if delta else bag
        request.attributes.append(encoder.attributes(told))
        before = bag
    request.default_words.extend(encoder.own)
    return request


def reported(request: Any) -> list[dict[str, Value]]:
    """The bags of a ReportRequest. Raises WireError, UnknownWordError."""
    shared = request.global_word_count or len(dictionary.GLOBAL)
    delta = request.repeated_attributes_semantics == 0
    bags: list[dict[str, Value]] = []
    for message in request.attributes:
        words = Words(message.words or request.default_words, shared)
        bags.append(decode(message, words, bags[-1] if delta and bags else None))
    return bags
