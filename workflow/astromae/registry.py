"""Tables of what can be chosen by name: surveys, encoders, objectives, tasks, classical methods, figures."""

import difflib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from astromae.errors import InputError

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """A table of entries by name.

    An entry of this package is the attribute of a module, which is imported when the entry is asked for: a list of
    names needs neither torch nor matplotlib. A plugin (`astromae.plugins`) adds its own with `register`.

    Parameters
    ----------
    kind
        What an entry is, for messages, for example ``encoder``.
    modules
        Module and attribute of each entry, for example ``{"vit": "astromae.encoders.vit:ENCODER"}``.
    """

    def __init__(self, kind: str, modules: Mapping[str, str]):
        self.kind = kind
        self._modules = dict(modules)
        self._added: dict[str, tuple[Entry, Path]] = {}

    def register(self, name: str, entry: Entry) -> None:
        """Add an entry. The file that calls this counts as its source.

        Raises
        ------
        InputError
            If another file has given the name to an entry.
        """
        file = Path(inspect.stack()[1].filename).resolve()
        taken = name in self._modules or (name in self._added and self._added[name][1] != file)
        if taken:
            raise InputError(f"{file}: there is already {self._called(name)}; choose another name")
        self._added[name] = entry, file

    def unregister(self, name: str) -> None:
        """Remove an entry that `register` added."""
        del self._added[name]

    def _called(self, name: str) -> str:
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind} {name!r}"

    def __getitem__(self, name: str) -> Entry:
        """Return an entry.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        self._require(name)
        if name in self._added:
            return self._added[name][0]
        module, _, attribute = self._modules[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def _require(self, name: str) -> None:
        if name not in self:
            close = difflib.get_close_matches(str(name), list(self), n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise InputError(f"there is no {self.kind} {name!r}; use one of {', '.join(self)}{meant}")

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of that name."""
        return name in self._modules or name in self._added

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, those of plugins last."""
        return iter([*self._modules, *self._added])

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._modules) + len(self._added)

    def source(self, name: str) -> str | Path:
        """Return the module of an entry of this package, or the file of a plugin's: what `sources.sources_of` takes.

        Raises
        ------
        InputError
            If there is no entry of that name.
        """
        self._require(name)
        return self._added[name][1] if name in self._added else self._modules[name].partition(":")[0]
