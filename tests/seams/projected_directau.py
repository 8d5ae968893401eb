"""DirectAU behind a projector that learns at a rate of its own."""

from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor, nn
from torch.optim import Optimizer

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import DirectAU
from pyg_advinfonce.objective import Phase


def with_group(main: Phase, params: Iterable[nn.Parameter], lr: float) -> Phase:
    """Return a phase whose optimiser has a second group, of some of its parameters."""
    own = list(params)

    def make(owned: list[nn.Parameter]) -> Optimizer:
        chosen = {id(p) for p in own}
        optimizer = main.optimizer([p for p in owned if id(p) not in chosen])
        optimizer.add_param_group({"params": own, "lr": lr})
        return optimizer

    return replace(main, optimizer=make)


class ProjectedDirectAU(DirectAU):
    """DirectAU of projected rows; what ranks are the rows before the projector.

    Args:
        gamma: The weight of uniformity.
        dim: The width of the embeddings.
        projector_lr: The projector's learning rate.
    """

    def __init__(
        self, gamma: float = 1.0, *, dim: int = 64, projector_lr: float = 1e-2
    ) -> None:
        super().__init__(gamma)
        self.projector = nn.Linear(dim, dim, device="cpu")
        self.projector_lr = projector_lr

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        return super().forward(self.projector(z_user), self.projector(z_item), batch)

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        return (with_group(main, self.projector.parameters(), self.projector_lr),)
