from __future__ import annotations

import pytest
import torch

from idiolect.softprompt.model import insert_embeddings


def test_rows_land_at_the_virtual_tokens_in_order_and_nowhere_else():
    embeds, rows = torch.zeros(2, 3, 4), torch.arange(1.0, 4.0)[:, None].expand(3, 4)
    mask = torch.tensor([[True, False, True], [False, True, False]])
    out = insert_embeddings(embeds, mask, rows)
    assert out[..., 0].tolist() == [[1, 0, 2], [0, 3, 0]]
    assert embeds.eq(0).all()


@pytest.mark.parametrize("n_rows", [1, 3])
def test_too_few_and_too_many_rows_are_refused(n_rows):
    with pytest.raises(ValueError, match=f"{n_rows} soft prompt embeddings for 2 virtual tokens"):
        insert_embeddings(torch.zeros(1, 4, 2), torch.tensor([[True, True, False, False]]), torch.zeros(n_rows, 2))


def test_gradients_reach_the_rows_in_the_embeddings_type():
    rows = torch.ones(2, 2, requires_grad=True)
    out = insert_embeddings(torch.zeros(1, 3, 2, dtype=torch.bfloat16), torch.tensor([[True, False, True]]), rows)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert rows.grad.eq(1).all()
