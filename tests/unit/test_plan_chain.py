"""The longest chain of a plan, and how long a run will go on."""

from itertools import permutations

import pytest
from astromae.plan import Job, describe, longest_chain, time_left_s


def job(name: str, seconds: float, *after: str) -> Job:
    return Job(name, after, (name,), threads=1, gpus=0, memory_mb=1000, minutes=10, expected_s=seconds)


def test_the_longest_chain_takes_longest_and_is_not_the_one_of_most_jobs():
    jobs = [job("d", 1, "c"), job("c", 1, "b"), job("b", 1, "a"), job("e", 9, "a", "given"), job("f", 5), job("a", 3)]
    assert [link.rule for link in longest_chain(jobs)] == ["a", "e"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_of_equally_long_chains_it_is_always_the_same(order):
    jobs = [job("a", 3), job("b", 5, "a"), job("c", 5, "a"), job("d", 1, "b", "c")]
    jobs[3] = Job("d", ("c", "b") if order[0] % 2 else ("b", "c"), *list(vars(jobs[3]).values())[2:])
    assert [link.rule for link in longest_chain([jobs[k] for k in order])] == ["a", "c", "d"]


def test_nothing_to_do_has_no_chain():
    assert longest_chain([]) == []


def test_time_left_follows_the_chain_or_the_cores():
    jobs = [job("a", 10), job("b", 20, "a"), *(job(name, 10) for name in "cdef")]
    assert time_left_s(jobs, 1, {}, {}) == 70
    assert time_left_s(jobs, 2, {}, {}) == 35
    assert time_left_s(jobs, 8, {}, {}) == time_left_s(jobs, None, {}, {}) == 30
    assert time_left_s(jobs, 8, {"a": 10}, {"b": 5}) == 15
    assert time_left_s(jobs, 8, {name: 1 for name in "abcdef"}, {}) == 0


def test_jobs_are_expected_to_take_as_long_as_others_of_their_rule():
    jobs = [Job("cut", (), (name,), 1, 0, 1000, 10, 10) for name in "ab"]
    assert time_left_s(jobs, 1, {"a": 30}, {"b": 12}) == 18


def test_a_plan_says_what_each_training_takes():
    seeds = [Job("train", (), (f"a{n}",), 2, 1, 0, 60, 3600, of="experiment1 plain-vit") for n in range(5)]
    longer = Job("pretrain", (), ("b",), 4, 0, 0, 60, 18000, of="plain experiment1")
    lines = describe([*seeds, longer, job("table", 9, "b")]).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("each training"))
    rows = [line.split() for line in lines[first + 1 : first + 3]]
    assert rows == [
        ["pretrain", "plain", "experiment1", "1", "20.00"],
        ["train", "experiment1", "plain-vit", "5", "10.00", "5.00"],
    ]
    assert lines[first + 3] == ""
