"""What jobs are expected to take, and what they ask for."""

from pathlib import Path

import pytest
import yaml
from astromae.cluster.estimates import Estimates
from astromae.cluster.jobs import grown, launcher, training_resources
from astromae.run import Run
from astromae.settings.configuration import check_configuration
from astromae.settings.files import laid_over, read_defaults, read_yaml
from astromae.settings.training import Training
from astromae.survey import SURVEYS
from astromae.survey.entry import Counts

ROOT = Path(__file__).parents[2]
NAMES = {"experiment": "experiment1", "encoder": "pcm"}
#: Laid over config.yaml, so that its budgets and sizes may change.
PHASES = {
    "pretraining": {"updates": 700, "batch_size": 64, "schedule": {"warmup": 1}},
    "finetuning": {"updates": 950, "batch_size": 32, "schedule": {"warmup": 1}},
}
GIVEN = {
    "experiments": {"experiment1": PHASES, "experiment2": PHASES},
    "backbones": {"plain": {"width": 192, "depth": 12}, "pcm": {"width": 192, "depth": 12, "pcm": {"groups": 48}}},
}


def estimates(tmp_path, preset=None, **given) -> Estimates:
    over = read_yaml(ROOT / f"workflow/presets/{preset}.yaml") if preset else GIVEN
    config = laid_over(read_defaults(), over)
    configuration = check_configuration(laid_over(config, given))
    survey = SURVEYS[configuration.survey]
    section = configuration.section(configuration.survey)
    stamps = survey.stamps(section, configuration.stamps.size)
    shards = [f"{tmp_path}/{chunk}.h5" for chunk in range(survey.chunks(section))]
    counts = Counts(10_000, 4000, "a test")
    return Estimates(Run(configuration, shards, catalog=f"{tmp_path}/none.parquet"), counts, stamps, 1000.0)


def test_a_gpu_is_worth_the_cores_that_pretrain_as_fast(tmp_path):
    cpu, gpu = estimates(tmp_path), estimates(tmp_path, training={"gpus": 2})
    # 700 of the 71 updates of a pass over 4,500 galaxies, 3.6 ms of a core; a GPU does the work of 1000 x 3.1 ms = 3.1
    # cores.
    assert cpu.pretraining_s(**NAMES) == pytest.approx(700 * 4500 / 71 * 3.6e-3, abs=1)
    assert gpu.pretraining_s(**NAMES) == pytest.approx(cpu.pretraining_s(**NAMES) / 2 / 3.1, abs=1)
    small = estimates(tmp_path, backbones={"pcm": {"width": 96, "depth": 6}})
    assert small.pretraining_s(**NAMES) == pytest.approx(cpu.pretraining_s(**NAMES) / 4, abs=1)
    # Features take one GPU at most.
    assert gpu.features_s(**NAMES) == pytest.approx(cpu.features_s(**NAMES) / 3.1, abs=1)


def test_shared_features_make_a_model_cheap_and_take_disk(tmp_path):
    shared, own = estimates(tmp_path), estimates(tmp_path, training={"share_features": False})
    model = {"experiment": "experiment1", "model": "pcm-vit"}
    assert own.model_s(**model) > 5 * shared.model_s(**model)
    # 3,000 labels in eleven passes, the last one begun, and 2,000 galaxies once, 192 numbers of two bytes; two
    # encoders, and one of experiment 2: 8,000 in four passes and 2,000.
    assert shared.features_mb(**NAMES) == pytest.approx(35_000 * 384 / 2**20, abs=1)
    assert shared.all_features_mb() == pytest.approx((2 * 35_000 + 34_000) * 384 / 2**20, abs=3)
    assert own.all_features_mb() == 0
    assert shared.pretraining_priority(**NAMES) > shared.model_priority("experiment1", "scratch-pcm-vit")


def test_cutting_takes_time_by_fields_and_requests(tmp_path):
    remote = estimates(tmp_path, "paper", survey="sdss", stamps={"threads": 4})
    assert remote.fields(0) == 4000 / 250
    assert remote.cutting_s(0, 4) == 16 * (2.4 / 4 + 5 * 16 / (10 * 4)) + 0.4
    assert remote.cutting_minutes(0, 4, 1) == 20 and remote.cutting_minutes(0, 4, 3) == 60
    cube = estimates(tmp_path, "paper")
    assert cube.frames is None and cube.cutting_s(0, 1) == 1


def test_memory_counts_the_stamps_that_a_training_holds(tmp_path):
    cpu, gpu = estimates(tmp_path), estimates(tmp_path, training={"gpus": 4})
    held = 10_000 * 5 * 64 * 64 * 2 / 2**20
    assert cpu.training_mb(1, cpu.run.stamps) == pytest.approx(3000 + 1.2 * held, abs=1)
    assert cpu.training_mb(1, []) == 3000
    assert gpu.training_mb(4, gpu.run.stamps) == pytest.approx(12_000 + held / 4, abs=1)
    for shard in cpu.run.stamps:
        Path(shard).write_bytes(bytes(2**20))
    assert cpu.training_mb(1, cpu.run.stamps) == 3000 + 1.2 * 12 + 0.6


def test_memory_grows_to_twice_with_the_attempts():
    assert [grown(2000, attempt) for attempt in (1, 2, 3, 4)] == [2000, 3000, 4000, 4000]


def test_a_training_asks_for_gpus_on_one_node_and_on_several():
    site = {"gpu_model": "a100", "runtime": 60}
    assert training_resources(0, 1, site, {"runtime": 90}) == {"gpu": 0, "runtime": 90}
    assert training_resources(2, 1, site, {"runtime": 90}) == {"gpu": 2, "gpu_model": "a100", "runtime": 60}
    assert training_resources(2, 3, site, {}) == {"nodes": 3, "gres": "gpu:a100:2", "runtime": 60}


def test_several_processes_have_a_launcher():
    assert launcher(Training()) == launcher(Training(gpus=1)) == ""
    assert "--nproc-per-node 4 --standalone" in launcher(Training(gpus=4))
    assert "srun --overlap --nodes=2 --ntasks=2" in launcher(Training(gpus=4, nodes=2))


def test_names_stand_for_nothing_that_a_run_does_not_have():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    wildcards = Run(check_configuration(config)).wildcards()
    assert wildcards["experiment"] == "experiment1|experiment2|distributions" and wildcards["encoder"] == "plain|pcm"
