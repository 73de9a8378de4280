"""Things done later, and things told to others."""

from __future__ import annotations

import threading

from taskmedic_local.ecs.outbox import Outbox
from taskmedic_local.ecs.schedule import Schedule


def test_jobs_are_done_in_the_order_of_their_times_when_these_have_come() -> None:
    now = 0.0
    done: list[str] = []
    schedule = Schedule(lambda: now)
    schedule.after(2, lambda: done.append("late"))
    schedule.after(1, lambda: done.append("early"))
    schedule.after(1, lambda: done.append("early too"))
    schedule.run_due()
    assert done == []
    now = 1.0
    schedule.run_due()
    assert done == ["early", "early too"]
    now = 5.0
    schedule.run_due()
    assert done == ["early", "early too", "late"]


def test_a_thread_does_the_jobs_once_started_and_one_that_fails_stops_no_other() -> None:
    schedule = Schedule()
    done = threading.Event()
    schedule.start()
    schedule.after(0, lambda: 1 / 0)
    schedule.after(0.01, done.set)
    assert done.wait(10)
    schedule.stop()
    schedule.after(0, lambda: None)
    assert not any(thread.name == "local-ecs" and thread.is_alive() for thread in threading.enumerate())


def test_what_a_job_adds_is_done_after_it_and_a_failure_stops_nothing() -> None:
    outbox = Outbox()
    done: list[str] = []

    def first() -> None:
        outbox.put(lambda: done.append("third"))
        outbox.send()  # returns at once: the one that is at it will do it
        done.append("first")

    outbox.put(first)
    outbox.put(lambda: 1 / 0)
    outbox.put(lambda: done.append("second"))
    outbox.send()
    assert done == ["first", "second", "third"]


def test_a_sender_does_not_wait_for_another() -> None:
    outbox = Outbox()
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        begun.set()
        may_end.wait(10)
        done.append("slow")

    outbox.put(slow)
    sender = threading.Thread(target=outbox.send)
    sender.start()
    assert begun.wait(10)
    outbox.put(lambda: done.append("quick"))
    outbox.send()
    assert done == []
    may_end.set()
    sender.join()
    assert done == ["slow", "quick"]
