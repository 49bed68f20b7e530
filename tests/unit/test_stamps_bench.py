"""The measurement of cutting, run small."""

import json
import subprocess
import sys


def test_bench_stamps():
    command = [sys.executable, "-m", "astromae", "bench", "stamps", "--fields", "1", "--rounds", "3", "--json"]
    result = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert (result["galaxies"], result["frames"]) == (3, 15)
    # Frames in the archive are 3 to 3.6 MB.
    assert 2.5 < result["frame_mb"] < 4
    # Half a frame on average, half a bzip2 block of 14 and half a stamp more; three galaxies scatter around it.
    assert 0.45 < result["bytes_fraction"] < 0.7
    # The full measurement stays below 1.15; a small one on a busy machine scatters.
    assert 0.9 < result["cpu_over_decode"] < 1.4
    assert result["stamps_per_core_s"] > 0
    assert result["peak_mb"] < 1500
