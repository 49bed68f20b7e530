"""What updates report is read in order, and no earlier than may be."""

import torch
from astromae.training.transfer import Reports, constants, to_device

CPU = torch.device("cpu")


def numbers(reports: Reports, lag: int | None = None) -> list[int]:
    return [update for update, _, _ in reports.read(lag)]


def test_an_update_is_read_at_once_without_a_lag():
    reports = Reports(lag=0)
    reports.add(7, torch.tensor([3, 1]), torch.tensor([0.5, 0.0, 1.0]))
    ((update, positions, values),) = reports.read()
    assert (update, positions.tolist(), values) == (7, [3, 1], [0.5, 0.0, 1.0])
    assert numbers(reports) == []


def test_the_last_update_waits_for_the_next_one():
    reports = Reports(lag=1)
    read = []
    for update in range(4):
        reports.add(update, torch.tensor([0]), torch.tensor([float(update)]))
        read.append(numbers(reports))
    assert read == [[], [0], [1], [2]]
    assert numbers(reports, lag=0) == [3]


def test_constants_are_made_once():
    made = constants((0.5, 2.0), torch.float64, CPU)
    assert made.tolist() == [0.5, 2.0]
    assert made.dtype == torch.float64
    assert constants((0.5, 2.0), torch.float64, CPU) is made
    assert constants((0.5, 2.0), torch.float32, CPU) is not made


def test_the_host_s_own_tensors_stay():
    given = torch.arange(3)
    assert to_device(given, CPU) is given
