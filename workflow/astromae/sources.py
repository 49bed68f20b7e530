"""Which source files a command of the command line runs.

The rules of the workflow name these files among their inputs, so that an edit reruns exactly the steps
whose code it changes: Snakemake compares the content of inputs, and a list that is found by reading the
imports cannot be forgotten.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from astromae.steps import STEPS

#: Folder of the package.
PACKAGE = Path(__file__).resolve().parent

# The lists of entries: of those that a job uses, its rule names the modules.
_ENTRIES = PACKAGE / "entries.py"


@functools.cache
def command_sources(command: str) -> tuple[Path, ...]:
    """Return the package's files that a step imports, directly or through others, and their data.

    Parameters
    ----------
    command
        Name of a subcommand, for example ``pretrain``.

    Returns
    -------
    tuple of Path
        Absolute paths, sorted.

    Raises
    ------
    ValueError
        If the command line has no such command.
    """
    if command not in STEPS:
        raise ValueError(f"astromae has no command {command!r}; it has {', '.join(sorted(STEPS))}")
    return sources_of(STEPS.source(command))


def sources_of(*modules: str | Path) -> tuple[Path, ...]:
    """Return the files of modules of astromae and of plugins, and of all that they import from astromae.

    Parameters
    ----------
    *modules
        What `astromae.registry.Registry.source` returns: names of modules, paths of plugins.

    Returns
    -------
    tuple of Path
        Absolute paths, sorted.
    """
    plugins = [module for module in modules if isinstance(module, Path)]
    named = [module for module in modules if not isinstance(module, Path)]
    imported = [name for plugin in plugins for name in _imports(ast.parse(plugin.read_text(encoding="utf-8")), "")]
    prefixes = [name for module in named for name in _imports(ast.parse(f"import {module}"), "")]
    return tuple(sorted({*_closure([*prefixes, *imported]), *plugins}))


def _closure(pending: list[str]) -> tuple[Path, ...]:
    """Return the files of modules and of all that they import, and the data beside them."""
    found: set[str] = set()
    while pending:
        module = pending.pop()
        if module not in found:
            found.add(module)
            pending += _imported_modules(module)
    files = {file for module in found for file in _with_data(_file(module))}
    return tuple(sorted(files - {_ENTRIES}))


@functools.cache
def _file(module: str) -> Path | None:
    """Return the file of a module or package of astromae; None if there is none."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


@functools.cache
def _with_data(file: Path) -> tuple[Path, ...]:
    """Return a module's file and its data: published.csv stands beside published.py, which reads it."""
    return tuple(path for path in file.parent.glob(f"{file.stem}.*") if path.is_file())


@functools.cache
def _imported_modules(module: str) -> tuple[str, ...]:
    """Return the modules of astromae that a module's file imports, at any depth of its code."""
    file = _file(module)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return tuple(_imports(ast.parse(file.read_text(encoding="utf-8")), package))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield every module of astromae that importing the names in `tree` runs, packages included."""
    for node in executed_nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "astromae":
                prefixes = (".".join(parts[: end + 1]) for end in range(len(parts)))
                yield from (prefix for prefix in prefixes if _file(prefix) is not None)


def executed_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's statements at any depth, without what stands there for type checkers alone."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        else:
            yield node
            # Expressions, the most of a tree, import nothing.
            pending += (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))
