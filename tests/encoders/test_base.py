import pytest
import torch

from pyg_advinfonce.encoders import (
    CustomEncoder,
    Embeddings,
    Encoder,
    FixedEmbeddings,
    as_encoder,
)
from pyg_advinfonce.errors import ConfigError
from tests.cases import NUM_ITEMS, NUM_USERS


def test_an_encoder_without_tensors_is_on_the_cpu():
    assert Encoder().device == torch.device("cpu")


@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_an_encoder_is_where_its_tensors_are(kind):
    encoder = Encoder()
    if kind == "buffer":
        encoder.register_buffer("count", torch.zeros(3, device="meta"))
    else:
        encoder.register_buffer("count", torch.zeros(3))
        encoder.table = torch.nn.Parameter(torch.zeros(3, device="meta"))
    assert encoder.device == torch.device("meta")


class Tables(torch.nn.Module):
    """A custom module; ``made`` is what its forward returns."""

    num_hops = 3

    def __init__(self, made=None):
        super().__init__()
        tables = torch.zeros(NUM_USERS, 4), torch.ones(NUM_ITEMS, 4)
        self.made = tables if made is None else made

    def forward(self, graph):
        return self.made


class Perturbed(Tables):
    """Draws noise where it is asked to, and offers what an encoder may."""

    def forward(self, graph, perturb=None):
        self.asked = perturb
        return self.made

    def item_messages(self, graph):
        return self.made[1] + 1

    def propagate(self, user, item, graph, *, perturb=None):
        return Embeddings(user, item, ((item, user),))


def test_an_encoder_is_itself_and_a_module_is_wrapped():
    encoder = FixedEmbeddings(torch.zeros(2, 3), torch.zeros(4, 3))
    assert as_encoder(encoder) is encoder
    assert as_encoder(module := Tables()).module is module


def test_a_pair_of_tables_is_its_own_first_layer(graph):
    module = Tables()
    z = CustomEncoder(module)(graph, perturb=True)
    assert (z.user, z.item) == module.made
    assert z.layers == (module.made,)
    assert CustomEncoder(Tables(list(module.made)))(graph).layers == (module.made,)


def test_embeddings_are_handed_on(graph):
    user, item = Tables().made
    made = Embeddings(user, item, ((user, item),) * 2, {"mu_user": user})
    assert CustomEncoder(Tables(made))(graph) is made


def test_what_a_module_offers_is_used(graph):
    module = Perturbed()
    encoder, (user, item) = CustomEncoder(module), module.made
    for perturb in (None, False, True):
        encoder(graph, perturb=perturb)
        assert module.asked is perturb
    assert encoder.num_hops == 3
    assert torch.equal(encoder.item_messages(graph), item + 1)
    assert encoder.propagate(user, item, graph).layers == ((item, user),)


def test_what_a_module_does_not_offer_is_not_there(graph):
    encoder = CustomEncoder(torch.nn.Identity())
    assert encoder.num_hops is None
    assert encoder.item_messages(graph) is None
    assert not hasattr(encoder, "scores")
    with pytest.raises(ConfigError, match="model Identity has no method propagate"):
        encoder.propagate(*Tables().made, graph)


def test_the_first_graph_of_several_has_the_sizes(graph):
    assert CustomEncoder(Tables())([graph, graph]).user.shape == (NUM_USERS, 4)


@pytest.mark.parametrize("made", [0, (1, 2), "zu", [torch.zeros(9, 4)]])
def test_a_forward_that_returns_no_tables(graph, made):
    with pytest.raises(
        ConfigError, match=r"^Tables.forward must return \(z_user, z_it"
    ):
        CustomEncoder(Tables(made))(graph)


@pytest.mark.parametrize(
    "shapes",
    [((9, 4), (12, 3)), ((12, 4), (9, 4)), ((9,), (12,)), ((9, 1, 4), (12, 1, 4))],
)
def test_tables_of_other_sizes(graph, shapes):
    made = tuple(torch.zeros(shape) for shape in shapes)
    said = r"must return z_user \[9, D\] and z_item \[12, D\] \(got \["
    for found in (made, Embeddings(*made, (made,))):
        with pytest.raises(ConfigError, match=said):
            CustomEncoder(Tables(found))(graph)
