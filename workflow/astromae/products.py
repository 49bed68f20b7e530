"""Data products: what a run makes of stamps, predictions and histories (samples, tables and figures)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astromae.errors import InputError
from astromae.registry import Registry
from astromae.run import Run
from astromae.tasks import task_source

#: Values of a product's wildcards by name, for example ``{"experiment": "experiment1"}``.
Wildcards = Mapping[str, str]


def _nothing(run: Run, **wildcards: str) -> dict[str, Any]:
    return {}


def _one(run: Run) -> list[dict[str, str]]:
    return [{}]


@dataclass(frozen=True)
class Product:
    """A family of samples, tables or figures, for example one figure for each experiment.

    Functions get the run, and the wildcards of one member of the family by keyword.

    Attributes
    ----------
    name
        Name of each member without suffix, wildcards in braces: ``residuals-{experiment}``. Of a sample, with suffix.
    make
        Function that makes a member, as ``astromae.module:function``, or itself where a plugin registers it. It gets
        inputs and settings by their names, and its outputs: ``pdf`` and ``png`` of a figure, ``csv`` and ``tex`` of
        a table, ``output`` of a sample.
    inputs
        Returns the files that it reads, by name: a path or a list of paths each.
    settings
        Returns its other settings, by name.
    members
        Returns the wildcards of every member that the run has; none where the family does not apply.
        ``experiment`` says under which experiment a member is shown, and need not stand in `name`.
    caption
        Its caption, reStructuredText with the title in the first line. None: that of the family in workflow/report.
    """

    name: str
    make: str | Callable[..., None]
    inputs: Callable[..., dict[str, str | list[str]]] = _nothing
    settings: Callable[..., dict[str, Any]] = _nothing
    members: Callable[[Run], Iterable[Wildcards]] = _one
    caption: str | None = None


@dataclass(frozen=True)
class Member:
    """One product of a run.

    Attributes
    ----------
    name, family
        Its own name, and that of its family in the table.
    wildcards
        What tells it from others of its family.
    inputs, settings
        What it is made from; see `Product`.
    sources
        Modules and plugin files that it depends on: its function's, and that of its experiment's task.
    """

    name: str
    family: str
    wildcards: Wildcards
    inputs: Mapping[str, str | list[str]]
    settings: Mapping[str, Any]
    sources: Sequence[str | Path]

    @property
    def files(self) -> list[str]:
        """Return all files that it is made from."""
        return [file for value in self.inputs.values() for file in ([value] if isinstance(value, str) else value)]

    @property
    def experiment(self) -> str | None:
        """Return the experiment that it is of; None where it is of no single one."""
        return self.wildcards.get("experiment")


def members(table: Registry[Product], run: Run) -> dict[str, Member]:
    """Return all products of a table that a run has, by name, family by family in the table's order.

    Raises
    ------
    InputError
        If two families make a product of the same name.
    """
    found = {}
    for family, product in table.items():
        source = product.make.partition(":")[0] if isinstance(product.make, str) else table.source(family)
        for wildcards in product.members(run):
            name = product.name.format(**wildcards)
            if name in found:
                raise InputError(f"{table.kind} {name}: both {found[name].family} and {family} make it; rename one")
            inputs, settings = product.inputs(run, **wildcards), product.settings(run, **wildcards)
            task = [task_source(run.task(wildcards["experiment"]))] if "experiment" in wildcards else []
            found[name] = Member(name, family, wildcards, inputs, settings, [source, *task])
    return found
