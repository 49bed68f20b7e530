"""SGD and LARS against their formulas, in float64, and the settings of all optimisers."""

import pytest
import torch
from astromae.settings.training import Optimiser
from astromae.training.lars import LARS
from astromae.training.optimiser import make_optimiser
from pydantic import ValidationError
from torch import nn

BASE = {"learning_rate": 0.2, "weight_decay": 0.1}


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.class_token = nn.Parameter(torch.full((1, 1, 4), 0.3))
        self.linear, self.norm = nn.Linear(4, 3), nn.LayerNorm(3)
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, x):
        return self.norm(self.linear(x + self.class_token[0])).square().sum() + self.linear.weight.pow(4).sum()


def trained(settings, steps=5):
    torch.manual_seed(0)
    model = Small().double()
    optimiser = make_optimiser(model, Optimiser(**settings))
    seen = []
    for step in range(steps):
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        optimiser.zero_grad()
        model(x).backward()
        seen.append(
            {name: (p.detach().clone(), p.grad.clone()) for name, p in model.named_parameters() if p.requires_grad}
        )
        optimiser.step()
    return {name: p.detach() for name, p in model.named_parameters()}, seen


def expected_lars(name, seen, trust, vector_rate, decay, momentum=0.9, rate=0.2):
    weight, velocity = seen[0][name][0].clone(), 0.0
    adapt = name == "linear.weight"
    for before, gradient in (step[name] for step in seen):
        torch.testing.assert_close(weight, before, rtol=1e-12, atol=1e-14)
        update = gradient + decay * weight if adapt else gradient
        if adapt:
            update = update * trust * weight.square().sum().sqrt() / update.square().sum().sqrt()
        velocity = momentum * velocity + update
        weight = weight - rate * (1 if adapt else vector_rate) * velocity
    return weight


@pytest.mark.parametrize("decay", [0.1, 0.0])
def test_lars_is_its_formula(decay):
    weights, seen = trained({**BASE, "kind": "lars", "weight_decay": decay, "trust": 0.02, "vector_rate": 0.3})
    for name in seen[0]:
        expected = expected_lars(name, seen, 0.02, 0.3, decay)
        torch.testing.assert_close(weights[name], expected, rtol=1e-12, atol=1e-14)
    assert (weights["frozen"] == 1).all()


def test_lars_does_not_divide_by_nothing():
    zero = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    still = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    optimiser = LARS([{"params": [zero, still]}], lr=0.5, momentum=0.9)
    (zero.sum() + 0 * still.sum()).backward()
    optimiser.step()
    assert (zero == -0.5).all() and (still == 1).all()


def test_sgd_is_its_formula():
    weights, seen = trained({**BASE, "kind": "sgd", "momentum": 0.8})
    for name in seen[0]:
        weight, velocity = seen[0][name][0].clone(), 0.0
        for _, gradient in (step[name] for step in seen):
            velocity = 0.8 * velocity + gradient + (0.1 * weight if name == "linear.weight" else 0)
            weight = weight - 0.2 * velocity
        torch.testing.assert_close(weights[name], weight, rtol=1e-12, atol=1e-14)


def test_state_of_lars_is_saved():
    model = Small()
    optimiser = make_optimiser(model, Optimiser(**BASE, kind="lars"))
    model(torch.randn(6, 4)).backward()
    optimiser.step()
    other = make_optimiser(model, Optimiser(**BASE, kind="lars"))
    other.load_state_dict(optimiser.state_dict())
    assert len(other.state) == 5
    assert [group["lr_scale"] for group in other.param_groups] == [0.024, 1.0]


def test_keys_of_other_kinds_are_ignored_and_not_recorded():
    given = {**BASE, "betas": [0.9, 0.95], "momentum": 0.7}
    assert set(Optimiser(**given).model_dump()) == {"kind", "learning_rate", "weight_decay", "betas"}
    assert Optimiser(**given).kind == "adamw"
    assert Optimiser(**given, kind="sgd").model_dump() == {**BASE, "kind": "sgd", "momentum": 0.7}
    lars = Optimiser(**given, kind="lars")
    assert lars.model_dump() == {**BASE, "kind": "lars", "momentum": 0.7, "trust": 1e-3, "vector_rate": 0.024}
    assert Optimiser(**lars.model_dump()) == Optimiser(**{**given, "betas": None}, kind="lars")


def test_adamw_wants_its_betas():
    with pytest.raises(ValidationError, match="betas is missing"):
        Optimiser(**BASE)
