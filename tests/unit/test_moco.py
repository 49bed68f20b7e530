"""Momentum contrast against numpy and closed forms, in float64."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from astromae.errors import InputError
from astromae.grouped_batchnorm import GroupedBatchNorm, Grouping, group_batchnorm, group_sizes
from astromae.objectives.moco import MoCoSettings
from astromae.objectives.momentum_contrast import MomentumContrast, contrastive_logits
from torch import nn


class Flat(nn.Module):
    """An encoder: a matrix, and batch normalisation where it is wanted."""

    width = 12

    def __init__(self, norm=False):
        super().__init__()
        self.weight = nn.Linear(5 * 4 * 4, self.width)
        self.norm = nn.BatchNorm1d(self.width) if norm else nn.Identity()

    def features(self, images):
        return self.norm(self.weight(images.flatten(1)))


def learner_of(norm=False, **changes):
    torch.manual_seed(5)
    given = {"queue": 10, "momentum": 0.9, "temperature": 0.2, "bn_groups": 1, "hidden": 16, "projection": 6}
    return MomentumContrast(Flat(norm), MoCoSettings(**(given | changes))).double()


def views_of(n, seed=0, count=2):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 5, 4, 4, generator=random, dtype=torch.float64) for _ in range(count)]


def unit(n, d, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def loss_of(queries, keys, queue, temperature):
    logits = contrastive_logits(*(torch.as_tensor(x) for x in (queries, keys, queue)), temperature)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))


def test_loss_and_gradient_are_numpy_s():
    q, k, queue, temperature = unit(7, 5, 0), unit(7, 5, 1), unit(11, 5, 2), 0.07
    logits = np.concatenate([(q * k).sum(1, keepdims=True), q @ queue.T], axis=1) / temperature
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    queries = torch.tensor(q, requires_grad=True)
    loss = loss_of(queries, k, queue, temperature)
    loss.backward()
    np.testing.assert_allclose(loss.item(), -np.log(p[:, 0]).mean(), rtol=1e-12)
    expected = ((p[:, :1] - 1) * k + p[:, 1:] @ queue) / (temperature * len(q))
    np.testing.assert_allclose(queries.grad.numpy(), expected, rtol=1e-10, atol=1e-14)


def test_one_other_key_is_a_softplus():
    q, k, queue = unit(9, 4, 0), unit(9, 4, 1), unit(1, 4, 2)
    difference = torch.as_tensor((q * queue).sum(1) - (q * k).sum(1))
    torch.testing.assert_close(loss_of(q, k, queue, 0.1), F.softplus(difference / 0.1).mean())


@pytest.mark.parametrize("temperature", [0.1, 0.2])
def test_first_loss_of_independent_keys(temperature):
    """Cosines in d dimensions are nearly normal with variance 1/d."""
    d, count = 128, 4096
    loss = loss_of(unit(2000, d, 0), unit(2000, d, 1), unit(count, d, 2), temperature)
    assert loss.item() == pytest.approx(math.log(count) + 1 / (2 * d * temperature**2), abs=0.05)


def test_training_is_that_of_the_reference():
    """He et al. 2020, algorithm 1, written out with the released order of its lines, on batches of unequal size."""
    ours, official = learner_of(), learner_of()
    optimisers = [torch.optim.SGD([p for p in each.parameters() if p.requires_grad], 0.3) for each in (ours, official)]
    queue, place = official.queue.clone(), 0
    for step, n in enumerate((4, 3, 4, 4, 3)):
        one, other = views_of(n, step)
        with torch.no_grad():
            slow = [*official.key_encoder.parameters(), *official.key_head.parameters()]
            for k, q in zip(slow, [*official.encoder.parameters(), *official.head.parameters()], strict=True):
                k.copy_(k * 0.9 + q * 0.1)
            keys = F.normalize(official.key_head(official.key_encoder.features(other)))
        queries = F.normalize(official.head(official.encoder.features(one)))
        logits = torch.cat([torch.einsum("nc,nc->n", queries, keys)[:, None], queries @ queue.clone().T], dim=1) / 0.2
        expected = F.cross_entropy(logits, torch.zeros(n, dtype=torch.int64))
        loss = ours(one, other)
        torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
        for optimiser, value in zip(optimisers, (loss, expected), strict=True):
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        # Keys are enqueued after the loss.
        torch.testing.assert_close(ours.queue, queue, rtol=1e-12, atol=1e-15)
        ours.after_step(step, 5)
        for key in keys:
            queue[place % 10] = key
            place += 1
        torch.testing.assert_close(ours.queue, queue, rtol=1e-12, atol=1e-15)
        assert ours.place == place % 10
    for a, b in zip(ours.encoder.parameters(), official.encoder.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_only_queries_carry_gradients():
    learner, (one, other) = learner_of(), views_of(6)
    one.requires_grad_(), other.requires_grad_()
    learner(one, other).backward()
    assert one.grad.abs().max() > 0 and other.grad is None
    slow = [*learner.key_encoder.parameters(), *learner.key_head.parameters()]
    assert not learner.queue.requires_grad and all(p.grad is None and not p.requires_grad for p in slow)
    assert all(p.grad is not None for p in [*learner.encoder.parameters(), *learner.head.parameters()])


def test_the_encoder_of_keys_is_a_running_mean():
    learner = learner_of(norm=True)
    start = [p.clone() for p in learner.key_encoder.parameters()]
    with torch.no_grad():
        for p in learner.encoder.parameters():
            p.add_(1.0)
    learner.encoder.norm.running_mean += 3
    for step in range(7):
        learner.after_step(step, 7)
    for before, slow, fast in zip(start, learner.key_encoder.parameters(), learner.encoder.parameters(), strict=True):
        torch.testing.assert_close(slow, 0.9**7 * before + (1 - 0.9**7) * fast.detach())
    assert (learner.key_encoder.norm.running_mean == 0).all(), "its running statistics are its own"


def test_validation_leaves_the_queue_alone():
    learner = learner_of().eval()
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    with torch.no_grad():
        learner(*views_of(6))
    learner.after_step(0, 1)
    assert torch.equal(learner.queue, before["queue"]) and learner.place == before["place"] == 0


def test_a_batch_larger_than_the_queue_fills_it_with_its_last_keys():
    learner = learner_of(queue=4)
    one, other = views_of(9)
    learner(one, other)
    learner.after_step(0, 1)
    with torch.no_grad():
        keys = F.normalize(learner.key_head(learner.key_encoder.features(other)))
    torch.testing.assert_close(learner.queue, keys[-4:])


def test_all_of_its_state_is_saved():
    names = set(learner_of().state_dict())
    assert {"queue", "place", "key_encoder.weight.weight", "key_head.2.bias"} <= names


def test_a_queue_of_all_galaxies_is_refused():
    learner_of().prepare(11)
    with pytest.raises(InputError, match=r"queue is 10, and there are 9 stamps.*pretraining.queue"):
        learner_of().prepare(9)


def test_report_of_views_that_are_alike():
    learner, (one, _) = learner_of().eval(), views_of(50)
    reported = learner.report(one, one)
    assert reported["accuracy"] == 1 and reported["own_cosine"] == pytest.approx(1)
    assert abs(reported["other_cosine"]) < 0.5


# Groups of the batch normalisation


@pytest.mark.parametrize("shape", [(11, 6), (11, 6, 3, 2)])
def test_groups_are_normalised_apart(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    layer = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(6).double()
    nn.init.normal_(layer.weight, 1.0)
    grouping = Grouping(3)
    own = nn.Sequential(layer)
    assert group_batchnorm(own, grouping) == 1 and type(own[0]) is GroupedBatchNorm
    grouping.sizes = group_sizes(11, 3)
    assert grouping.sizes == [4, 4, 3]
    y = own(x)
    expected, means = [], []
    for part in x.split(grouping.sizes):
        others = [0, *range(2, x.ndim)]
        variance, mean = torch.var_mean(part, others, correction=0, keepdim=True)
        weight, bias = (p.view(mean.shape) for p in (layer.weight, layer.bias))
        expected.append((part - mean) / (variance + 1e-5).sqrt() * weight + bias)
        means.append(mean.flatten())
    torch.testing.assert_close(y, torch.cat(expected))
    torch.testing.assert_close(layer.running_mean, 0.1 * torch.stack(means).mean(dim=0))
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [torch.autograd.grad((z * weights).sum(), x)[0] for z in (y, torch.cat(expected))]
    torch.testing.assert_close(*gradients)
    own.eval()
    torch.testing.assert_close(own(x), layer.eval()(x))


def test_keys_are_normalised_in_other_groups_than_queries():
    learner = learner_of(norm=True, bn_groups=3)
    one, other = views_of(13)
    drawn = learner.draw(13, torch.Generator().manual_seed(1))
    assert [group.bincount().tolist() for group in drawn] == [[5, 4, 4]] * 2
    assert not torch.equal(*drawn)
    loss = learner(one, other, *drawn)

    def projected(encoder, head, images, groups):
        features, norm = encoder.weight(images.flatten(1)), encoder.norm
        for group in range(3):
            own = features[groups == group]
            features = features.index_copy(
                0, (groups == group).nonzero()[:, 0], F.batch_norm(own, None, None, training=True)
            )
        assert isinstance(norm, GroupedBatchNorm)
        return F.normalize(head(features))

    queries = projected(learner.encoder, learner.head, one, drawn[0])
    keys = projected(learner.key_encoder, learner.key_head, other, drawn[1])
    torch.testing.assert_close(loss, loss_of(queries, keys, learner.queue, 0.2))


def test_small_batches_have_fewer_groups():
    learner = learner_of(norm=True, bn_groups=8)
    drawn = learner.draw(5, torch.Generator().manual_seed(1))
    assert [group.bincount().tolist() for group in drawn] == [[3, 2]] * 2
    assert learner(*views_of(5), *drawn).isfinite()
    assert learner_of(norm=False, bn_groups=8).draw(5, torch.Generator()) == ()
