"""How processes of pytest-xdist divide the tests: what shares a fixture that takes minutes stays together."""

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]

#: Groups that take longest, the longest first. What starts beside the run of `finished` needs one core.
LONGEST = ("finished", "slurm", "tests/workflow/test_plan.py")


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
    """Return when a test's group starts, so that no long one is left to the end."""
    group = group_of(nodeid)
    return LONGEST.index(group) if group in LONGEST else len(LONGEST) + group.startswith("tests/unit/")


class Division(LoadScopeScheduling):
    """Give each group to one process, in the order in which the groups are collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
