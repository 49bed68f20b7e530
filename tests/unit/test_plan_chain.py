"""The longest chain of a plan."""

from itertools import permutations

import pytest
from astromae.plan import Job, longest_chain


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
