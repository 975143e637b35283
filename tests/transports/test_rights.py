"""Messages with file descriptors."""

from __future__ import annotations

import os
import threading

import pytest
import trio

from transports.errors import TransportError
from transports.rights import MESSAGE_BYTES, RightsEnd, rights_end, rights_pair


def answering(far: RightsEnd, answers: int) -> threading.Thread:
    """A thread that answers with what it was sent, and what the files that came along hold."""

    async def main() -> None:
        for _ in range(answers):
            received = await far.next()
            assert received is not None
            message, descriptors = received
            contents = [os.pread(descriptor, 100, 0).decode() for descriptor in descriptors]
            for descriptor in descriptors:
                os.close(descriptor)
            far.answer({"echo": dict(message), "contents": list(contents)})
        far.close()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    return thread


def test_a_message_is_answered_and_its_files_can_be_read_at_the_other_end() -> None:
    near, far = rights_pair()
    thread = answering(far, 2)
    files = []
    for text in ("one", "two"):
        descriptor = os.memfd_create(text)
        os.write(descriptor, text.encode())
        files.append(descriptor)
    answer = near.ask({"number": 7}, files, timeout_s=10)
    assert answer == {"echo": {"number": 7}, "contents": ["one", "two"]}
    assert near.ask({}, timeout_s=10) == {"echo": {}, "contents": []}
    thread.join()
    for descriptor in files:
        os.close(descriptor)
    with pytest.raises(TransportError, match="gone"):
        near.ask({}, timeout_s=10)
    near.close()


def test_an_end_that_does_not_answer_is_given_up() -> None:
    near, far = rights_pair()
    with pytest.raises(TransportError, match="does not answer"):
        near.ask({}, timeout_s=0.01)
    near.close()
    far.close()


def test_who_waits_is_told_that_the_other_end_is_gone() -> None:
    near, far = rights_pair()
    near.close()
    assert trio.run(far.next) is None
    with pytest.raises(TransportError, match="gone"):
        far.answer({})
    far.close()


def test_a_message_that_is_too_long_is_refused() -> None:
    near, far = rights_pair()
    with pytest.raises(TransportError, match="longer than"):
        near.ask({"text": "x" * MESSAGE_BYTES}, timeout_s=1)
    near.close()
    far.close()


def test_an_end_is_found_again_by_its_number() -> None:
    near, far = rights_pair()
    again = rights_end(os.dup(far.fileno()))
    far.close()
    thread = answering(again, 1)
    assert near.ask({"x": 1}, timeout_s=10)["echo"] == {"x": 1}
    thread.join()
    near.close()


def test_an_end_that_is_closed_asks_nobody() -> None:
    near, far = rights_pair()
    near.close()
    with pytest.raises(TransportError, match="gone"):
        near.ask({}, timeout_s=10)
    far.close()
