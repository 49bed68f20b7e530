"""An entry of the table of surveys: what the workflow knows of a survey before it has any of its data."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astromae.contracts.stamp_format import StampFormat
from astromae.typed import Typed

#: Folder of the workflow's own rule files.
RULES = Path(__file__).parents[2] / "rules"

#: Chunks that a survey can have: Linux allows a command 128 KiB, and some name every shard and missing list.
MOST_CHUNKS = 2000


@dataclass(frozen=True)
class Job:
    """A step of a survey, as a rule runs it.

    Attributes
    ----------
    step
        Name of the step (`astromae.steps.STEPS`).
    settings
        Parameters that its result depends on.
    untracked
        Parameters that say only how it runs, such as pauses between queries: their change reruns nothing.
    inputs
        Large inputs that other rules make, by parameter; a function of the chunk where each chunk has its own.
        Each has its checksum beside it (`astromae.files.write_checksum`).
    files
        Files of a person that it reads, by parameter.
    outputs
        Files that it writes besides the catalogue or the shard, by parameter.
    threads
        Whether it can use several threads (`stamps.threads`).
    minutes
        Time limit of the first attempt; None where it follows from the frames that are read.
    memory_mb
        Memory of the first attempt.
    """

    step: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    untracked: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str | list[str] | Callable[[int], str]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    threads: bool = False
    minutes: int | None = 60
    memory_mb: int = 4000


@dataclass(frozen=True)
class Counts:
    """The size of a sample.

    Attributes
    ----------
    galaxies, fields
        Galaxies, and fields that they lie on; 0 where stamps are not cut from frames.
    source
        Where the numbers come from, in words.
    """

    galaxies: int
    fields: int
    source: str


@dataclass(frozen=True)
class Survey:
    """A source of galaxies and pixels.

    Attributes
    ----------
    settings
        Its section of the configuration, which has the survey's name.
    title
        What documents call it, with its article.
    simulated
        Whether its pixels are simulated, which documents say wherever results of it are shown.
    stamps
        Bands, pixel scale and size of its stamps, from its section and the configured `stamps.size`, which is None
        where the survey's own is wanted.
    catalog
        The step that writes the catalogue (to `output`, and its checksum), from its section.
    cut
        The step that reads `catalog` and writes the shard of one `chunk` to `output`, with its checksum, and the list
        of galaxies that get no stamp to `missing`, from its section and the format of the stamps.
    chunks
        Number of chunks, from its section.
    expected
        How large the sample is expected to be, from its section: plans and time limits start from it.
    frames
        Folder or address below which frames lie that stamps are cut from, from its section; None without frames.
    addresses
        Files and addresses that its jobs read, from its section, to be looked at before a run on a cluster.
    check
        Says with `InputError` what its model of settings cannot: from its section, before the first job of a run of
        this survey. It may read what a person brings.
    downloads
        The step that says what a run will download, from the section and the format of the stamps; None for a survey
        that downloads nothing.
    rules
        File with further rules that the catalogue or the shards need.
    votes
        Questions on shapes that its catalogue has votes on (`astromae.contracts.votes`), from its section.
    """

    settings: type[Typed]
    title: str
    simulated: bool
    stamps: Callable[[Any, int | None], StampFormat]
    catalog: Callable[[Any], Job]
    cut: Callable[[Any, StampFormat], Job]
    chunks: Callable[[Any], int]
    expected: Callable[[Any], Counts]
    frames: Callable[[Any], str | None] = lambda section: None
    addresses: Callable[[Any], list[str]] = lambda section: []
    check: Callable[[Any], None] = lambda section: None
    downloads: Callable[[Any, StampFormat], Job] | None = None
    rules: Path | None = None
    votes: Callable[[Any], Collection[str]] = lambda section: ()
