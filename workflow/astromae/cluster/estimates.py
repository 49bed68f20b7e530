"""What jobs are expected to take before any data exist: how much they have to do, at rates that were measured.

Time limits and memory of jobs start from it, and `make plan` adds it up.
"""

import functools
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astromae.contracts.catalog import fields_of_chunks
from astromae.contracts.stamp_format import StampFormat
from astromae.encoders import ENCODERS
from astromae.run import Run
from astromae.settings.experiments import Model
from astromae.survey import SURVEYS
from astromae.survey.address import is_remote
from astromae.survey.entry import Counts

#: Seconds of a core (x86-64, AVX-512) for one galaxy, field or stamp, from a default run's provenance.json and logs. A
#: training's stamps are those of its gradient steps; validation and prediction are contained in the rate.
DRAWN_GALAXY_S = 0.06
#: A field of 210 galaxies: five bands decoded and cut. One with few galaxies takes half.
CUT_FIELD_S = 2.4
#: A stamp of a deflated cube converted.
CUBE_STAMP_S = 0.7e-3
#: By network, of table III's sizes; another takes the time of a plain transformer.
PRETRAIN_S = {"vit": 3.1e-3, "pcm-vit": 3.6e-3, "resnet": 1.2e-3}
#: The encoder forwards, by views.
FEATURES_S = {"vit": 1.8e-3, "pcm-vit": 2.1e-3, "resnet": 0.2e-3}
TRAIN_ENCODER_S = {"vit": 4.9e-3, "pcm-vit": 8.0e-3, "resnet": 0.6e-3}
BRANCH_S = {"inception": 1.2e-3, "magnitude": 0.3e-3}
#: Width times depth of table III's encoders. On a core the time of a smaller one falls in proportion to it.
TABLE_III = 192 * 12
#: Depth and width of the ResNet of the rates. The products of convolutions go with depth and the square of width.
THIN_RESNET = 10, 16
#: Side of the stamps of the rates, pixels.
RATED_SIDE = 32
#: Views and head, which all models have.
HEAD_S = 0.15e-3

#: Of a stored feature: float16.
FEATURE_BYTES = 2

#: Numbers of a stored feature vector where neither an encoder nor its settings say.
FEATURE_WIDTH = 192

#: Memory of a training's process without its stamps, MB.
PROCESS_MB = 3000


@dataclass(frozen=True)
class Estimates:
    """Expected time, memory and disk of a run's jobs.

    Attributes
    ----------
    run
        The run.
    counts
        Galaxies and fields of its sample.
    stamps
        Format of its stamps.
    gpu_stamps_per_s
        Stamps a second that a GPU pretrains the plain encoder on.
    """

    run: Run
    counts: Counts
    stamps: StampFormat
    gpu_stamps_per_s: float

    # --- survey ---

    @property
    def frames(self) -> str | None:
        """Folder or address of the frames that stamps are cut from; None without frames."""
        configuration = self.run.configuration
        return SURVEYS[configuration.survey].frames(configuration.section(configuration.survey))

    def drawing_s(self, strips: int) -> int:
        """Return how long the frames of one of the simulated strips take, in seconds."""
        return math.ceil(DRAWN_GALAXY_S * self.counts.galaxies / strips)

    def fields(self, chunk: int) -> int:
        """Return how many fields a chunk has: as the catalogue says, or as expected where it does not yet."""
        expected = math.ceil(self.counts.fields / len(self.run.stamps))
        if not os.path.exists(self.run.catalog):
            return expected
        return _counted_fields(self.run.catalog, os.stat(self.run.catalog).st_mtime_ns).get(chunk, expected)

    def cutting_s(self, chunk: int, threads: int) -> int:
        """Return how long a chunk's stamps take, in seconds.

        A field is five frames, and as many requests where the archive is remote; the limit of requests is then
        shared by twice as many threads as there are connections, the resource `downloads` of the profile. Of the
        published sample: 1000 fields x (2.4 / 4 + 5 x 16 / (10 x 4)) = 2600 s a chunk with four threads.
        """
        if self.frames is None:
            return math.ceil(CUBE_STAMP_S * self.counts.galaxies / len(self.run.stamps))
        field_s = CUT_FIELD_S / threads
        download = getattr(self.run.configuration.section(self.run.survey), "download", None)
        if download is not None and is_remote(self.frames):
            field_s += 5 * 2 * download.connections / (download.requests_per_second * threads)
        return math.ceil(self.fields(chunk) * field_s)

    def cutting_minutes(self, chunk: int, threads: int, attempt: int) -> int:
        """Return a chunk's time limit: five times what is expected, for slow disks and archives, and ten minutes.

        In steps of ten minutes, since the jobs of an array all have the limit of its first.
        """
        return attempt * 10 * math.ceil((10 + 5 * self.cutting_s(chunk, threads) / 60) / 10)

    def stamps_mb(self, shards: Sequence[str]) -> float:
        """Return the size of shards, or what is expected of them where some are still to be made."""
        if all(map(os.path.exists, shards)):
            return sum(map(os.path.getsize, shards)) / 2**20
        return self.counts.galaxies * self.stamps.stamp_bytes / 2**20

    # --- trainings ---

    def training_mb(self, processes: int, shards: Sequence[str]) -> int:
        """Return a training's memory.

        On a CPU the stamps are held besides what each process wants; with GPUs they go there in blocks, and a quarter
        of them keeps those that do not fit at hand in the system's cache.
        """
        part = 0.25 if self.run.configuration.training.gpus else 1.2
        return math.ceil(PROCESS_MB * processes + part * self.stamps_mb(shards))

    def _training_s(self, core_s: float, gpus: int | None = None) -> int:
        """Return how long a training's core-seconds take on what it gets: its GPUs, or its threads."""
        training = self.run.configuration.training
        gpus = training.gpus * training.nodes if gpus is None else gpus
        cores_of_gpu = self.gpu_stamps_per_s * PRETRAIN_S["vit"]
        return math.ceil(core_s / (gpus * cores_of_gpu or training.threads))

    def _galaxies(self, experiment: str, subsets: Iterable[str]) -> int:
        """Return how many galaxies an experiment is expected to have in some subsets."""
        fractions = self.run.configuration.sample(experiment).fractions
        return round(self.counts.galaxies * sum(getattr(fractions, subset) for subset in subsets))

    def _finetuning_stamps(self, experiment: str) -> int:
        """Return how many stamps the gradient steps of a fine-tuning see."""
        return self.run.experiment(experiment).finetuning.stamps(self._galaxies(experiment, ["train"]))

    def _views(self, experiment: str) -> int:
        """Return how many views of stamps have a stored feature."""
        labelled = self._galaxies(experiment, ["train"])
        passes = self.run.experiment(experiment).finetuning.passes(labelled)
        return passes * labelled + self._galaxies(experiment, ["val", "test"])

    def _rate(self, rates: dict[str, float], encoder: str, experiment: str = "") -> float:
        own = self.run.configuration.of_sample(experiment)
        return _seconds(rates, own.backbones[encoder], own.scaling.crop)

    def pretraining_s(self, experiment: str, encoder: str) -> int:
        """Return how long a pretraining takes, in seconds."""
        configuration = self.run.configuration
        galaxies = self._galaxies(experiment, configuration.sample(experiment).pretrain_on)
        phase = configuration.pretraining(experiment, encoder)
        stamps = phase.stamps(max(1, round(phase.part * galaxies)))
        return self._training_s(stamps * self._rate(PRETRAIN_S, encoder, experiment))

    def features_s(self, experiment: str, encoder: str) -> int:
        """Return how long a frozen encoder's features take, in seconds."""
        gpus = min(self.run.configuration.training.gpus, 1)
        return self._training_s(self._views(experiment) * self._rate(FEATURES_S, encoder), gpus)

    def features_mb(self, experiment: str, encoder: str) -> int:
        """Return the disk that a frozen encoder's features take, in MB."""
        own = self.run.configuration.of_sample(experiment)
        backbone, side = own.backbones[encoder], own.scaling.crop
        width = ENCODERS[backbone.network].width
        features = getattr(backbone, "width", FEATURE_WIDTH) if width is None else width(backbone, side)
        return math.ceil(self._views(experiment) * features * FEATURE_BYTES / 2**20)

    def all_features_mb(self) -> int:
        """Return the disk that all features of a run take, in MB."""
        configuration = self.run.configuration
        return len(configuration.seeds) * sum(
            self.features_mb(experiment, encoder)
            for experiment in self.run.pretrained
            for encoder in self.run.shared_encoders(experiment)
        )

    def model_s(self, experiment: str, model: str) -> int:
        """Return how long the training of a model takes, in seconds: the sum of its branches."""
        chosen: Model = self.run.configuration.models[model]
        stamp_s = HEAD_S + sum(seconds for branch, seconds in BRANCH_S.items() if getattr(chosen, branch))
        if chosen.encoder and not self.run.shares_features(model):
            stamp_s += self._rate(FEATURES_S if chosen.frozen else TRAIN_ENCODER_S, chosen.encoder)
        return self._training_s(self._finetuning_stamps(experiment) * stamp_s)

    def curve_s(self, study: str, curve: str) -> int:
        """Return how long a line of a study takes, in seconds: one training for each number of labels."""
        settings = self.run.configuration.studies[study]
        line = settings.curves()[curve]
        galaxies, backbone = self._galaxies(study, ["train"]), settings.networks[line.network]
        side = self.run.configuration.of_sample(study).scaling.crop
        if line.frozen:
            phase, stamp_s = settings.finetuning.frozen, HEAD_S
            views = phase.augmented_views * galaxies + self._galaxies(study, ["val", "test"])
            core_s = views * _seconds(FEATURES_S, backbone, side)
        else:
            phase, stamp_s, core_s = (
                settings.finetuning.unfrozen,
                HEAD_S + _seconds(TRAIN_ENCODER_S, backbone, side),
                0.0,
            )
        core_s += stamp_s * sum(phase.stamps(count) for count in settings.label_counts(galaxies))
        return self._training_s(core_s, min(self.run.configuration.training.gpus, 1))

    def curve_priority(self, study: str, curve: str) -> float:
        """Start long trainings first, so that the last ones to end are short ones."""
        return math.log1p(self.curve_s(study, curve))

    def pretraining_priority(self, experiment: str, encoder: str) -> float:
        """Start the longest pretraining first: all that reads its encoder waits for it."""
        return 150 + math.log1p(self.pretraining_s(experiment, encoder))

    def model_priority(self, experiment: str, model: str) -> float:
        """Start long trainings first, so that the last ones to end are short ones."""
        return math.log1p(self.model_s(experiment, model))


def _seconds(rates: dict[str, float], backbone: Any, side: int) -> float:
    """Return the seconds of a stamp of so many pixels on a side through a network of its kind and size."""
    seconds = rates.get(backbone.network, rates["vit"]) * (side / RATED_SIDE) ** 2
    if backbone.network == "resnet":
        return seconds * backbone.depth / THIN_RESNET[0] * (backbone.width / THIN_RESNET[1]) ** 2
    sizes = [getattr(backbone, name, None) for name in ("width", "depth")]
    return seconds * math.prod(sizes) / TABLE_III if all(sizes) else seconds


@functools.cache
def _counted_fields(catalog: str, changed: int) -> dict[int, int]:
    """Return the fields of each chunk of a catalogue as it was at a time of change."""
    return fields_of_chunks(Path(catalog))
