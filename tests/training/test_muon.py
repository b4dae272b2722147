from __future__ import annotations

import copy

import pytest
import torch

from idiolect.training.muon import make_optimizer, orthogonalised


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 5, 12), (2, 12, 5)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_orthogonalised_keeps_the_singular_directions():
    matrix = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix)
    turned = u.mT @ orthogonalised(matrix) @ v.mT
    assert torch.allclose(turned, torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1)), atol=1e-4)


def toy(tied=True):
    torch.manual_seed(0)
    model = torch.nn.Module()
    model.embed = torch.nn.Embedding(11, 6)
    model.layer = torch.nn.Linear(6, 6)
    model.head = torch.nn.Linear(6, 11, bias=False)
    if tied:
        model.head.weight = model.embed.weight
    return model


def test_only_matrices_of_layers_are_orthogonalised():
    groups = make_optimizer(toy(), lr=0.1, weight_decay=0.5).param_groups
    assert [p.shape for p in groups[0]["params"]] == [(6, 6)]
    assert sorted(tuple(p.shape) for p in groups[1]["params"]) == [(6,), (11, 6)]
    assert groups[0]["weight_decay"] == 0.5
    assert groups[1]["weight_decay"] == 0.0


def test_a_model_learns_and_a_resumed_optimizer_goes_on_as_if_never_stopped():
    inputs = torch.arange(11)

    def steps(model, optimizer, n):
        losses = []
        for _ in range(n):
            loss = torch.nn.functional.cross_entropy(model.head(model.layer(model.embed(inputs))), inputs.roll(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    model = toy(tied=False)
    optimizer = make_optimizer(model, lr=0.05, weight_decay=0.0)
    first = steps(model, optimizer, 30)
    assert first[-1] < first[0] / 4
    other = toy(tied=False)
    other.load_state_dict(model.state_dict())
    resumed = make_optimizer(other, lr=0.05, weight_decay=0.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert steps(model, optimizer, 3) == pytest.approx(steps(other, resumed, 3))
