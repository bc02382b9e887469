"""What waits to be sent: batches, repetition, the bound, and the last flush."""

from __future__ import annotations

import asyncio

from mixer.outbox import Outbox


class _Far:
    """Who is sent to; refuses the first `refuses` batches."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.batches: list[list[int]] = []
        self.came = asyncio.Event()

    async def take(self, batch: list[int]) -> None:
        if self.refuses:
            self.refuses -= 1
            raise ConnectionRefusedError("not now")
        self.batches.append(batch)
        self.came.set()


async def test_a_full_batch_leaves_at_once_and_what_is_left_at_close() -> None:
    far = _Far()
    box = Outbox("it", far.take, batch=3, interval=60)
    box.put([1, 2, 3, 4])
    async with asyncio.timeout(5):
        await far.came.wait()
    await box.close()
    assert far.batches == [[1, 2, 3], [4]]


async def test_a_batch_that_is_not_full_leaves_after_the_interval() -> None:
    far = _Far()
    box = Outbox("it", far.take, batch=100, interval=0.01)
    box.put([1])
    async with asyncio.timeout(5):
        await far.came.wait()
    assert far.batches == [[1]]
    await box.close()


async def test_what_did_not_arrive_is_sent_again_in_order() -> None:
    far = _Far(refuses=1)
    box = Outbox("it", far.take, batch=2, interval=0.01)
    box.put([1, 2, 3])
    await box.close()
    assert far.batches == [[1, 2], [3]]
    assert (box.sent, box.dropped) == (3, 0)


async def test_the_oldest_go_when_too_much_waits() -> None:
    far = _Far()
    box = Outbox("it", far.take, batch=100, interval=60, most=2)
    box.put([1, 2, 3])
    await box.close()
    assert far.batches == [[2, 3]]
    assert box.dropped == 1


async def test_closing_gives_up_on_somebody_who_never_takes_anything() -> None:
    box = Outbox("it", _Far(refuses=10**6).take, batch=1, interval=0.01)
    box.put([1])
    async with asyncio.timeout(5):
        await box.close()
    assert box.sent == 0


async def test_nothing_to_send_is_closed_at_once() -> None:
    await Outbox("it", _Far().take, batch=1, interval=60).close()
