"""L2 penalty on all parameters of the encoder."""

import torch
from torch import Tensor

from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.base import Term


class TableL2(Term):
    r"""Half the squared norm of all that the encoder learns.

    .. math::
        \frac{1}{2} \sum_\theta |\theta|^2
    """

    def forward(self, step: Step) -> Tensor:
        squares = [p.square().sum() for p in step.encoder.parameters()]
        return torch.stack(squares).sum() / 2
