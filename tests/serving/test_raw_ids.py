import pytest
import torch

from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.graph import ITEM, USER
from pyg_advinfonce.serving.raw_ids import RawIds


@pytest.mark.parametrize("ids", [[103, 101], ["103", "101"]])
def test_integers_are_found_as_numbers_and_as_text(named_graph, ids):
    assert RawIds(named_graph, USER).rows(ids).tolist() == [2, 0]


def test_texts_are_found_as_they_are(named_graph):
    found = RawIds(named_graph, ITEM)
    assert found.rows(["=i4", "=i0"]).tolist() == [4, 0]
    assert found.values[[4, 0]].tolist() == ["=i4", "=i0"]


def test_rows_are_ids_where_there_are_no_others(graph):
    found = RawIds(graph, USER)
    assert found.rows([3, "0"]).tolist() == [3, 0]
    assert found.values.tolist() == list(range(9))


def test_no_ids(graph):
    assert RawIds(graph, USER).rows([]).dtype == torch.long


@pytest.mark.parametrize(
    ("node_type", "raw_id", "said"),
    [
        (ITEM, "=i44", "unknown item '=i44', did you mean '=i4'?"),
        (ITEM, "i1", "unknown item 'i1', did you mean '=i1' or '=i11' or '=i10'?"),
        (USER, 1, "unknown user '1': there are 9, e.g. '101', '102', '103'"),
        (USER, -1, "unknown user '-1': there are 9"),
    ],
)
def test_an_unknown_id_names_near_ones(named_graph, node_type, raw_id, said):
    with pytest.raises(UnknownNameError) as caught:
        RawIds(named_graph, node_type).rows([raw_id])
    assert str(caught.value).startswith(said)
