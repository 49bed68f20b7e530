"""The last lines of failed jobs."""

from astromae.failed_jobs import describe_failed_jobs

SNAKEMAKE_LOG = """\
[Sun Nov 22 03:50:29 2026]
Error in rule split:
    message: SLURM-job '7' failed, SLURM status is: 'FAILED'.
    jobid: 9
    output: results/splits/experiment1.parquet
    log: {log}, results/logs/slurm/rule_split/experiment1/7.log (check log file(s) for error details)
Error in rule cut:
    jobid: 3
    log: {absent} (check log file(s) for error details)
Error in rule split:
    jobid: 9
    log: {log}, results/logs/slurm/rule_split/experiment1/8.log (check log file(s) for error details)
"""


def test_each_failed_job_says_its_last_lines_once(tmp_path):
    log = tmp_path / "split.log"
    log.write_text("".join(f"line {number}\n" for number in range(40)))
    said = describe_failed_jobs(SNAKEMAKE_LOG.format(log=log, absent=tmp_path / "cut.log"))
    assert said.count("split failed") == 1
    assert "line 39" in said and "line 25" in said and "line 24" not in said
    assert "cut failed" in said and "no log was written" in said
