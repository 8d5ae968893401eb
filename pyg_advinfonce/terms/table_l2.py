"""L2 penalty on all of an encoder's tables."""

import torch
from torch import Tensor

from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.base import Term


class TableL2(Term):
    r"""Half the squared norm of all of the encoder's parameters, at every batch.

    .. math::
        \frac{1}{2} \sum_\theta |\theta|^2

    UltraGCN's penalty, whose authors' code counts whole tables (methods.md 1.3).
    """

    def forward(self, step: Step) -> Tensor:
        norms = [p.square().sum() for p in step.encoder.parameters()]
        return torch.stack(norms).sum() / 2
