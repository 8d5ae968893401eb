"""L2 penalty on the layer-0 rows of a batch."""

from torch import Tensor
from torch.nn.functional import embedding

from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.base import Term


class EmbeddingL2(Term):
    r"""Half the squared norms of the batch's layer-0 rows, a positive edge.

    .. math::
        \frac{1}{2 B} \sum_b \Bigl(|e_u|^2 + |e_i|^2 + \sum_j |e_j|^2\Bigr)

    A row counts once for each time it occurs in the batch; a masked negative does not.

    Args:
        negatives: Whether the last sum is counted.
    """

    def __init__(self, negatives: bool = False) -> None:
        super().__init__()
        self.negatives = negatives

    def forward(self, step: Step) -> Tensor:
        user, item = step.embeddings.layers[0]
        batch = step.batch
        penalty = squares(user, batch.src_index) + squares(item, batch.dst_pos_index)
        if self.negatives:
            norms = item.square().sum(-1)  # [I]
            norms = norms[batch.dst_neg_index]  # [B, K]
            if batch.neg_mask is not None:
                norms = norms.masked_fill(~batch.neg_mask, 0.0)
            penalty = penalty + norms.sum()
        return penalty / (2 * batch.src_index.numel())


def squares(table: Tensor, index: Tensor) -> Tensor:
    """Sum the squared norms of chosen rows of a parameter."""
    # A sparse gradient spares a pass over the whole table; it is added to a dense one.
    return embedding(index, table, sparse=True).square().sum()
