"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None, typer.Option(help="Preset or configuration of your own, laid over config.yaml as Snakemake does.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
