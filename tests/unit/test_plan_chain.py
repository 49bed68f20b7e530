"""The longest chain of a plan."""

from astromae.plan import Job, longest_chain


def job(name: str, seconds: float, *after: str) -> Job:
    return Job(name, after, (name,), threads=1, gpus=0, memory_mb=1000, minutes=10, expected_s=seconds)


def test_the_longest_chain_takes_longest_and_is_not_the_one_of_most_jobs():
    jobs = [job("d", 1, "c"), job("c", 1, "b"), job("b", 1, "a"), job("e", 9, "a", "given"), job("f", 5), job("a", 3)]
    assert [link.rule for link in longest_chain(jobs)] == ["a", "e"]


def test_nothing_to_do_has_no_chain():
    assert longest_chain([]) == []
