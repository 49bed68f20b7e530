"""The command line: one subcommand a step of the workflow, and a few for people.

Modules are imported inside the commands, so that `astromae --help` is quick and a plotting
environment needs no torch.
"""

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astromae.errors import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="AstroMAE, step by step. Each command is one step of the workflow and can be run by hand.",
)


def _json(text: str) -> Any:
    """Parse a command-line value that holds JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON ({error}): {text!r}") from error


Paths = Annotated[list[Path], typer.Option(help="Repeat the option for every file.")]


@app.command()
def catalog(
    settings: Annotated[Any, typer.Option(parser=_json, metavar="JSON", help="The configuration's section `embedded`.")],
    output: Annotated[Path, typer.Option(help="Catalogue to write (Parquet).")],
) -> None:
    """Build the embedded survey's catalogue: real galaxies, dealt to simulated fields."""
    from astromae.survey.embedded import write_catalog

    write_catalog(output, settings)


@app.command()
def frames(
    catalog: Annotated[Path, typer.Option(help="Catalogue of the embedded survey.")],
    run: Annotated[int, typer.Option(help="Imaging run to draw.")],
    camcol: Annotated[int, typer.Option(help="Camera column to draw.")],
    settings: Annotated[Any, typer.Option(parser=_json, metavar="JSON", help="The configuration's section `embedded`.")],
    output: Annotated[Path, typer.Option(help="Folder for this run's and column's frames.")],
) -> None:
    """Draw every field of one run and camera column as real frame files, five bands each."""
    from astromae.survey.render import render_strip

    render_strip(catalog, run, camcol, settings, output)


@app.command("cut")
def cut_stamps(
    catalog: Annotated[Path, typer.Option(help="Catalogue (Parquet).")],
    chunk: Annotated[int, typer.Option(help="Chunk of the catalogue to cut (its column `chunk`).")],
    archive: Annotated[str, typer.Option(help="Folder or address that holds dr{N}/.../frames.")],
    release: Annotated[int, typer.Option(help="Data release, for the archive's layout.")],
    settings: Annotated[Any, typer.Option(parser=_json, metavar="JSON", help="The configuration's section `stamps`.")],
    output: Annotated[Path, typer.Option(help="Shard to write (HDF5).")],
    missing: Annotated[Path, typer.Option(help="Table of galaxies without a stamp (CSV), with reasons.")],
) -> None:
    """Cut one chunk's galaxies out of the archive's frames into a shard."""
    from astromae.stamps.cut import cut_chunk

    cut_chunk(catalog, chunk, archive, release, settings, output, missing)


@app.command()
def split(
    catalog: Annotated[Path, typer.Option(help="Catalogue (Parquet).")],
    stamps: Paths,
    missing: Paths,
    fractions: Annotated[Any, typer.Option(parser=_json, metavar="JSON", help="Fraction of each subset.")],
    seed: Annotated[int, typer.Option(help="Seed of the assignment.")],
    max_missing_fraction: Annotated[float, typer.Option(help="Stop when more of the catalogue has no stamp.")],
    output: Annotated[Path, typer.Option(help="Split to write (Parquet: objid, subset).")],
) -> None:
    """Check that stamps and missing galaxies equal the catalogue, then deal the stamps into subsets."""
    from astromae.stamps.splits import write_split

    write_split(catalog, stamps, missing, fractions, seed, max_missing_fraction, output)


def main() -> None:
    """Run the command line; bad input ends in one line and status 2."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: the disk is full: {error}. Free some space and run the same command again.", file=sys.stderr)
        sys.exit(2)
