"""Rates and tokens."""

from __future__ import annotations

from fairseq_rome.server.guard import Rate, may_change


def test_a_client_may_ask_so_often_a_minute_and_waits_for_the_next() -> None:
    seconds = [0.0]
    rate = Rate(6, lambda: seconds[0])
    assert [rate.wait("a") for _ in range(6)] == [0.0] * 6
    assert rate.wait("a") == 10.0
    assert rate.wait("b") == 0.0  # each client for itself
    seconds[0] = 9.0
    assert 0 < rate.wait("a") <= 1.0 + 1e-9
    seconds[0] = 10.5
    assert rate.wait("a") == 0.0
    assert rate.wait("a") > 0.0
    seconds[0] = 1000.0
    assert [rate.wait("a") for _ in range(7)][:6] == [0.0] * 6


def test_many_clients_take_little_memory() -> None:
    rate = Rate(1, lambda: 0.0)
    for number in range(20_000):
        rate.wait(str(number))
    assert rate.wait("19999") > 0 and rate.wait("0") == 0.0  # the oldest are forgotten


def test_a_token_is_the_whole_token() -> None:
    assert may_change(None, "") and may_change("secret", "secret")
    assert not may_change("secret", "") and not may_change("secret", "secre") and not may_change("secret", "sécret")
