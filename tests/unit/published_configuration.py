"""The configuration with the encoders of table III: config.yaml with the sizes of the preset `paper` laid over it."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def published_configuration() -> dict[str, Any]:
    configuration, paper = (
        yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", "workflow/presets/paper.yaml")
    )
    for name, sizes in paper["backbones"].items():
        configuration["backbones"][name] |= {key: value for key, value in sizes.items() if key != "pcm"}
    configuration["decoder"] |= paper["decoder"]
    groups = paper["backbones"]["pcm"]["pcm"]["groups"]
    configuration["backbones"]["pcm"]["pcm"]["groups"] = groups
    return configuration
