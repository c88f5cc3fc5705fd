"""Lanes: how many receiving hosts are on the dispatcher's hands, and in which state."""

from datetime import UTC, datetime

from secondunit.daemon.delivery.host_limits import HostLimits

END = datetime(2030, 1, 1, tzinfo=UTC)


def test_hosts_are_counted_by_how_they_answer_and_those_without_anything_to_get_are_not() -> None:
    limits = HostLimits()
    assert limits.states(0) == {"working": 0, "untried": 0, "down": 0}
    for host in ("a", "b", "c"):
        assert limits.admit(host, f"{host}1", 0, END) == "send"
        assert limits.admit(host, f"{host}2", 0, END) == "wait"
    assert limits.states(0) == {"working": 0, "untried": 3, "down": 0}
    limits.done("a", "a1", alive=True, now=0)
    limits.done("b", "b1", alive=False, now=0)
    assert limits.states(0) == {"working": 1, "untried": 1, "down": 1}
    assert limits.next(0.5) == ("a", "a2")
    limits.done("a", "a2", alive=True, now=0.5)
    assert limits.states(0.5) == {"working": 0, "untried": 1, "down": 1}
