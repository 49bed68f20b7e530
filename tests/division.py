"""How processes of pytest-xdist divide the tests: what shares a fixture that takes minutes stays together."""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]

#: Groups that take longest, the longest first. The first test of the second is short: the run of `finished` has the
#: machine to itself (`turns`), and waits for it.
FIRST = ("finished", "slurm")


def group_of(nodeid: str) -> str:
    """Return the group of a test: the fixture ``finished`` or ``slurm``, which is made once, or else its file."""
    return _group_of_file(nodeid.partition("::")[0])


@cache
def _group_of_file(file: str) -> str:
    if file.startswith("tests/cluster/"):
        return "slurm"
    if re.search(r"^def \w+\(.*\bfinished\b", (ROOT / file).read_text(), re.M):
        return "finished"
    return file


def rank_of(nodeid: str) -> int:
    """Return when a test's group starts: long ones early, since one that is left to the end leaves cores idle."""
    group = group_of(nodeid)
    if group in FIRST:
        return FIRST.index(group)
    return len(FIRST) + group.startswith("tests/unit/")


class Division(LoadScopeScheduling):
    """Give each group to one process, in the order in which the groups are collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
