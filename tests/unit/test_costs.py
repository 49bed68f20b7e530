"""The table of cost: what trainings took, over their seeds, with the parameters of their networks."""

import numpy as np
import pytest
from astromae.errors import InputError
from astromae.tables.costs import (
    COLUMNS,
    cost_columns,
    formatted_costs,
    read_cost_table,
    tex_costs,
    write_cost_table,
)
from astromae.training.provenance import Cost
from evaluation_inputs import json_file, networks_file, training_record


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    networks = networks_file(folder / "networks.json")
    on_gpus = {"device": "A GPU", "devices": 4, "wall_s": 1800.0, "gpu_hours": 2.0, "cpu_hours": 0.7}
    records = [
        training_record(folder, "experiment1", "pcm", True, 1, **on_gpus),
        training_record(folder, "experiment1", "pcm-astromae", seed=1, wall_s=10.0, stamps=1000),
        training_record(folder, "experiment1", "pcm-astromae", seed=2, wall_s=20.0, stamps=1000, peak_memory_mb=2048),
        json_file(
            folder / "trees.json",
            {
                "recipe": {"experiment": "experiment1", "group": "classical", "model": "hgb-magnitudes"},
                **{"device": "A processor", "devices": 1, "threads": 1, "stamps": 100},
                **{"wall_s": 0.5, "cpu_hours": 0.0001, "gpu_hours": 0.0, "peak_memory_mb": 300},
            },
        ),
    ]
    write_cost_table(records, networks, {"experiment1": "Experiment 1"}, folder / "c.csv", folder / "c.tex")
    return folder, records, networks


def test_a_row_for_each_network_with_means_over_seeds(made):
    table = read_cost_table(made[0] / "c.csv")
    assert list(table.columns) == list(COLUMNS)
    assert list(table["model"]) == ["pcm", "pcm-astromae", "hgb-magnitudes"]
    astromae = table.iloc[1]
    assert (astromae["n_seeds"], astromae["wall_s"], astromae["peak_memory_mb"]) == (2, 15.0, 2048)
    assert astromae["stamps_per_s"] == pytest.approx((1000 / 10 + 1000 / 20) / 2)
    assert astromae["trainable"] == 10_397_505 and astromae["parameters"] > astromae["trainable"]
    assert table.iloc[0]["parameters"] == table.iloc[0]["trainable"] and table.iloc[0]["gpu_hours"] == 2
    assert np.isnan(table.iloc[2]["parameters"])


def test_the_table_as_text(made):
    rows = formatted_costs(read_cost_table(made[0] / "c.csv"))
    assert [row["wall"] for row in rows] == ["0:30:00", "0:00:15", "0:00:00.5"]
    assert [row["gpu"] for row in rows] == ["2:00:00", "", ""]
    assert rows[0]["name"] == "pcm encoder" and rows[2]["parameters"] == ""
    tex = (made[0] / "c.tex").read_text()
    assert r"\emph{Experiment 1: pretraining of encoders}" in tex and "boosted trees on magnitudes & -- & --" in tex
    assert all(line.count("&") == 7 for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line)


def test_titles_are_text_to_tex(made):
    table = read_cost_table(made[0] / "c.csv")
    tex = tex_costs(table, {"experiment1": r"50 % of {A} & B_1 #2 for $3 ~ x^2 \now"})
    escaped = r"50 \% of \{A\} \& B\_1 \#2 for \$3 \textasciitilde{} x\textasciicircum{}2 \textbackslash{}now"
    assert rf"\emph{{{escaped}: pretraining of encoders}}" in tex


def test_time_of_gpus_is_printed_where_there_was_any(made):
    table = read_cost_table(made[0] / "c.csv")
    assert "gpu" in cost_columns(formatted_costs(table))
    without = table[table["gpu_hours"] == 0]
    assert list(cost_columns(formatted_costs(without))) == [
        *("parameters", "trainable", "wall", "cpu", "stamps_per_s", "memory_gb")
    ]
    assert "GPU" not in tex_costs(without, {}).partition(r"\begin")[2]


def test_a_provenance_of_another_version_is_named(made, tmp_path):
    old = json_file(tmp_path / "provenance.json", {"recipe": {}})
    with pytest.raises(InputError, match=r"provenance\.json: no stamps, device.*make it again"):
        write_cost_table([old], made[2], {}, tmp_path / "c.csv", tmp_path / "c.tex")
    (tmp_path / "c.csv").write_text("model\nx\n")
    with pytest.raises(InputError, match=r"c\.csv: not a table of cost of this version: no experiment"):
        read_cost_table(tmp_path / "c.csv")


@pytest.mark.parametrize(("granted", "threads"), [("3", 3), ("4,2", 4)])
def test_threads_are_those_that_a_job_grants(monkeypatch, granted, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert Cost().record()["threads"] == threads
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert Cost().record()["threads"] >= 1
