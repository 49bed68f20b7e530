"""Answers kept until all are there: of one question, one run at a time, and in no folder of somebody else."""

import json
import subprocess
import sys

import pytest
from astromae.asking.kept import LOCK, QUESTION, kept_answers
from astromae.errors import InputError

HOLDER = """
import sys
from pathlib import Path
from astromae.asking.kept import kept_answers

with kept_answers(Path(sys.argv[1]), ["one"]):
    print("held", flush=True)
    sys.stdin.read()
"""


def interrupted(folder, question, name="000000.answers.parquet"):
    with pytest.raises(KeyboardInterrupt), kept_answers(folder, [question]):
        (folder / name).touch()
        raise KeyboardInterrupt


def test_they_stay_after_an_error_and_go_at_the_end(tmp_path, capfd):
    folder = tmp_path / "out.csv.parts"
    interrupted(folder, "one")
    with kept_answers(folder, ["one"]):
        assert (folder / "000000.answers.parquet").is_file()
    assert not folder.exists()
    assert "going on with what was answered before" in capfd.readouterr().err


def test_those_of_another_question_go(tmp_path, capfd):
    folder = tmp_path / "out.csv.parts"
    interrupted(folder, "one")
    (folder / "inner").mkdir()
    with kept_answers(folder, ["other"]):
        assert {path.name for path in folder.iterdir()} == {LOCK, QUESTION}
    assert "is of another question; beginning anew" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "[1", json.dumps({"a": 1})])
def test_a_damaged_question_is_another_one(tmp_path, text):
    folder = tmp_path / "out.csv.parts"
    interrupted(folder, "one")
    (folder / QUESTION).write_text(text)
    with kept_answers(folder, ["one"]):
        assert not (folder / "000000.answers.parquet").exists()


def test_a_folder_of_somebody_else_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "out.csv.parts"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"out\.csv\.parts: is not of answers; move it away"), kept_answers(folder, []):
        pass
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    (tmp_path / "file.parts").touch()
    with pytest.raises(InputError, match="is not of answers"), kept_answers(tmp_path / "file.parts", []):
        pass


def test_an_empty_folder_of_a_run_that_was_killed_at_once_is_taken(tmp_path):
    folder = tmp_path / "out.csv.parts"
    folder.mkdir()
    (folder / LOCK).touch()
    with kept_answers(folder, ["one"]):
        assert (folder / QUESTION).is_file()


def test_two_runs_exclude_each_other_until_one_is_killed(tmp_path):
    folder = tmp_path / "out.csv.parts"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another run is answering there"), kept_answers(folder, ["one"]):
            pass
        assert (folder / QUESTION).is_file()
        other.kill()
    with kept_answers(folder, ["one"]):
        pass
    assert not folder.exists()
