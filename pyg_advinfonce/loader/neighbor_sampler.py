"""Batches of train edges with sampled neighbourhoods."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader
from torch_geometric.sampler import EdgeSamplerInput

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    message_graph,
    train_degrees,
    with_edge_index,
)
from pyg_advinfonce.loader.edge_sampler import EdgeSampler


class NeighborEdgeSampler:
    r"""Sampler of batches as in :class:`~pyg_advinfonce.loader.EdgeSampler`, with
    neighbours of their users and items drawn by PyG's sampler.

    Messages are reweighted so that a node's aggregate equals that of the whole graph in
    expectation:

    .. math::
        w'_{ij} = w_{ij} \, d_i / d'_i

    with the degree :math:`d_i` of a message's destination and the number
    :math:`d'_i` of its messages in the sample. With all neighbours and one hop per
    layer, the embeddings of a batch's nodes equal those of the whole graph.

    torch-sparse 0.6.18 draws the last neighbours in a node's list slightly too rarely.
    The samples depend only on torch's seed at the start of an epoch, not on the number
    of workers.

    Args:
        graph: User-item graph; batches are on its device.
        num_neighbors: Number of neighbours per node and hop, -1 for all.
        num_workers: Number of worker processes; 0 samples in the main process.
        **edges: Arguments of :class:`~pyg_advinfonce.loader.EdgeSampler`.

    Raises:
        ConfigError: If ``num_negatives`` is ``all``, or as for that class.
    """  # noqa: D205

    def __init__(
        self,
        graph: HeteroData,
        num_neighbors: Sequence[int] = (20, 10),
        *,
        num_workers: int = 0,
        **edges: Any,  # noqa: ANN401
    ) -> None:
        if edges.get("num_negatives") == "all":
            raise ConfigError(
                "train.num_negatives 'all' needs the embeddings of all items (got "
                "train.loader 'neighbor'): set train.loader to 'full', or "
                "train.num_negatives to a number"
            )
        messages = with_edge_index(message_graph(graph))
        self.device = messages[INTERACTS].edge_index.device
        messages[USER].degree, messages[ITEM].degree = train_degrees(messages)
        messages = messages.cpu()
        self.edges, self.num_workers = EdgeSampler(messages, **edges), num_workers
        some = messages[INTERACTS].edge_index[:, :1]
        self.loader = LinkNeighborLoader(
            messages, list(num_neighbors), edge_label_index=(INTERACTS, some)
        )

    def __len__(self) -> int:
        return len(self.edges)

    def __iter__(self) -> Iterator[tuple[HeteroData, EdgeBatch]]:
        samples = self.edges.samples()
        seeds = torch.randint(2**62, (len(samples),), device="cpu").tolist()
        tasks: Any = list(zip(seeds, samples, strict=True))  # a list is a dataset
        graphs: DataLoader[HeteroData] = DataLoader(
            tasks,
            batch_size=None,
            collate_fn=self._draw,
            num_workers=self.num_workers,
            generator=torch.Generator(device="cpu"),  # leaves the global state as it is
        )
        for graph in graphs:
            yield self._with_batch(graph.to(self.device))

    def _draw(self, task: Any) -> HeteroData:  # noqa: ANN401
        """Draw a batch's edges and the graph around them, with the task's seed."""
        seed, sample = task  # an integer, [B]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            batch = self.edges.draw(sample)
            item = torch.cat(
                [batch.dst_pos_index.unsqueeze(-1), batch.dst_neg_index], 1
            )
            user = batch.src_index.unsqueeze(-1).expand_as(item)  # [B, 1 + K]
            pairs = EdgeSamplerInput(
                None, user.reshape(-1), item.view(-1), input_type=INTERACTS
            )
            found = self.loader.link_sampler.sample_from_edges(pairs)
        return _reweighted(self.loader.filter_fn(found))

    def _with_batch(self, graph: HeteroData) -> tuple[HeteroData, EdgeBatch]:
        """Build the batch from the local row numbers of its pairs."""
        pairs = graph[INTERACTS].pop("edge_label_index")  # [2, B * (1 + K)]
        number = 1 + int(self.edges.num_negatives)
        user, item = pairs.view(2, -1, number)
        return graph, EdgeBatch(
            user[:, 0],
            item[:, 0],
            item[:, 1:],
            src_n_id=graph[USER].n_id,
            dst_n_id=graph[ITEM].n_id,
        )


def _reweighted(graph: HeteroData) -> HeteroData:
    """Multiply the weights of sampled messages by full degree / sampled degree."""
    for edge_type in (INTERACTS, REV_INTERACTS):
        edges, degree = graph[edge_type], graph[edge_type[2]].degree
        destination = edges.edge_index[1]
        drawn = torch.bincount(destination, minlength=degree.numel())
        scale = degree / drawn.clamp(min=1)  # [N]
        edges.edge_weight = edges.edge_weight * scale[destination]
    return graph
