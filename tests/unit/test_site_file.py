"""slurm/site.yaml, which describes the user's own cluster to rules and profile."""

import pytest
from astromae.cluster.site_file import read_site
from astromae.errors import InputError


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTROMAE_SITE", str(tmp_path / "site.yaml"))
    return tmp_path / "site.yaml"


def test_the_example_is_a_site(site):
    with open("slurm/site.example.yaml") as example:
        site.write_text(example.read())
    read = read_site()
    assert read.partitions["gpu"]["max_gpu"] == 4
    assert read.account == "my-project"
    assert read.gpu_resources == {"gpu_model": "a100"}


def test_no_file_is_no_site(tmp_path, monkeypatch):
    monkeypatch.delenv("ASTROMAE_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert not read_site().partitions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("partition: {cpu: {}}", "partition is an unknown key.*did you mean partitions"),
        ("partitions: [cpu, gpu]", "partitions is"),
        ("partitions: {cpu: }", "partitions.cpu is null"),
        ("partitions: {cpu", "not valid YAML"),
        ("gpu", "expected keys of"),
        ("gpu_stamps_per_s: fast", 'gpu_stamps_per_s is "fast"; allowed: a number above 0'),
    ],
)
def test_a_wrong_site_says_what_would_be_right(site, content, message):
    if content is not None:
        site.write_text(content)
    with pytest.raises(InputError, match=message):
        read_site()
