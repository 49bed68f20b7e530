"""The command line: a subcommand for each step of the workflow, and a few for people.

Modules are imported inside the commands, so that `astromae --help` is quick and a plotting
environment needs no torch.
"""

import errno
import json
import os
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astromae.commands import asking, bench
from astromae.commands.options import AsJson, ConfigFile
from astromae.errors import InputError, Interrupted
from astromae.plugins import load_plugins_of_run
from astromae.progress import log
from astromae.steps import STEPS, run_step

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="AstroMAE: what people ask of it. The steps of the workflow are commands too, listed in docs/development.md.",
)


# Without a name, its commands stand beside those below.
app.add_typer(asking.app)
app.add_typer(bench.app, name="bench")


@app.command()
def realism(
    stamps: Annotated[Path, typer.Option(help="Folder of real stamps: .npy files of 64 x 64 pixels in u, g, r, i, z.")],
    output: Annotated[Path, typer.Option(help="Measurements to write (CSV).")],
) -> None:
    """Measure real stamps: concentration, asymmetry, flux of neighbours, sky noise."""
    from astromae.evaluation.realism import write_measurements

    write_measurements(stamps, output)


@app.command()
def docs_configuration(
    config: Annotated[Path, typer.Option(help="Configuration that holds the defaults.")] = Path("config.yaml"),
    output: Annotated[Path, typer.Option(help="Reference to write (Markdown).")] = Path("docs/configuration.md"),
    schema: Annotated[Path, typer.Option(help="JSON schema to write, for editors.")] = Path(
        "workflow/schemas/config.schema.json"
    ),
) -> None:
    """Write the reference of the configuration, every key with its default, what it may hold, and its meaning."""
    from astromae.settings.document import write_documents

    write_documents(config, output, schema)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def plan(context: typer.Context) -> None:
    """Say what a run would take: jobs, core-hours, GPU-hours, longest chain. Arguments are Snakemake's."""
    from astromae.plan import describe, planned_jobs

    print(describe(planned_jobs(context.args)))


@app.command()
def models(
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List every configured model: its branches and parameters."""
    from astromae.settings.files import read_configuration

    configuration = read_configuration(config)

    from astromae.tasks.networks import describe_models
    from astromae.training.configured_recipes import networks_of

    rows = describe_models(networks_of(configuration), len(configuration.stamp_format().bands))
    print(json.dumps(rows, indent=2) if as_json else _model_table(rows))


def _model_table(rows: list[dict[str, Any]]) -> str:
    """Lay out the rows of `describe_models` for a terminal."""
    lines = [f"{'model':<29}{'group':<12}{'branches':<40}{'parameters':>12}{'trainable':>12}"]
    for row in rows:
        encoder = row["encoder"] and (
            f"{row['encoder']} ({'pretrained' if row['pretrained'] else 'scratch'}{', frozen' * row['frozen']})"
        )
        branches = [encoder, "inception" * row["inception"], "magnitude" * row["magnitude"]]
        joined = " + ".join(branch for branch in branches if branch)
        lines.append(f"{row['name']:<29}{row['group']:<12}{joined:<40}{row['parameters']:>12,}{row['trainable']:>12,}")
    return "\n".join(lines)


def _add_step(name: str) -> None:
    @app.command(name, help=f"Step of the workflow: {STEPS.source(name)}.", hidden=True)
    def step(
        params: Annotated[list[str], typer.Option(help="Parameters by name (JSON object); may be repeated.")],
    ) -> None:
        run_step(name, *params)


def _add_steps() -> None:
    """Add the steps that are no commands yet: the package's at first, and those of plugins."""
    known = {command.name for command in app.registered_commands}
    for name in STEPS:
        if name not in known:
            _add_step(name)


_add_steps()


def main() -> None:
    """Run the command line; bad input ends in one line and status 2, an interruption in status 75."""
    if "SLURM_JOB_ID" in os.environ:
        log(f"Slurm job {os.environ['SLURM_JOB_ID']} on {platform.node()}")
    try:
        load_plugins_of_run()
        _add_steps()
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as interruption:
        print(interruption, file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: the disk is full: {error}. Free some space and run the same command again.", file=sys.stderr)
        sys.exit(2)
