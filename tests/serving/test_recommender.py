import pandas as pd
import pytest
import torch

from pyg_advinfonce.encoders import CustomEncoder
from pyg_advinfonce.errors import (
    ConfigError,
    DataWarning,
    NonFiniteLossError,
    UnknownNameError,
)
from pyg_advinfonce.graph import ITEM, USER, split_edges
from pyg_advinfonce.serving import IdMap, Recommender, fold_in
from tests import cases
from tests.device_mode import DeviceIsNamed
from tests.scorers import SCORERS, Popularity, naive_scores, untrained

SEEN = set(cases.TRAIN)
CANDIDATES = [i for i in range(cases.NUM_ITEMS) if i not in (1, 3, 11)]


def naive(method, graph, user, k, *, seen="all"):
    """Rank one user's candidates by sorting."""
    z_user, z_item = method.embed(graph)
    score = (z_user[user] @ z_item.T).tolist()
    hidden = SEEN if seen == "all" else set()
    kept = [i for i in CANDIDATES if (user, i) not in hidden]
    return sorted(kept, key=lambda i: (-score[i], i))[:k], score


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("seen", ["all", "none"])
@pytest.mark.parametrize("k", [1, 4, 30])
def test_agrees_with_a_sort(named_graph, make, cosine, seen, k):
    method = make(named_graph, cosine=cosine)
    found = Recommender(method, named_graph, seen=seen, chunk_size=2)
    table = found.recommend(k=k)
    assert list(table.columns) == ["user", "rank", "item", "score"]
    for row in range(cases.NUM_USERS):
        expected, score = naive(method, named_graph, row, k, seen=seen)
        mine = table[table["user"] == 101 + row]
        assert mine["item"].tolist() == [f"=i{i}" for i in expected]
        assert mine["rank"].tolist() == list(range(1, len(expected) + 1))
        assert mine["score"].tolist() == pytest.approx(
            [score[i] for i in expected], rel=1e-4
        )
    assert len(table) == sum(table["user"] == u for u in range(101, 110)).sum()


def test_some_users_in_the_order_they_were_named(named_graph, make):
    found = Recommender(make(named_graph), named_graph)
    table = found.recommend([105, "101"], k=3)
    everyone = found.recommend(k=3)
    assert table["user"].tolist() == [105] * 3 + [101] * 3
    for user in (101, 105):
        pd.testing.assert_frame_equal(
            table[table["user"] == user].reset_index(drop=True),
            everyone[everyone["user"] == user].reset_index(drop=True),
        )


def test_pieces_are_the_whole(named_graph, make):
    found = Recommender(make(named_graph), named_graph, chunk_size=2)
    pieces = list(found.stream(k=3))
    assert [piece["user"].nunique() for piece in pieces] == [2, 2, 2, 2, 1]
    pd.testing.assert_frame_equal(
        pd.concat(pieces, ignore_index=True), found.recommend(k=3)
    )


def test_nobody_is_an_empty_table(named_graph, make):
    table = Recommender(make(named_graph), named_graph).recommend([])
    assert list(table.columns) == ["user", "rank", "item", "score"]
    assert table.empty


@pytest.mark.parametrize("seen", ["all", "none"])
def test_new_users_by_their_items(named_graph, make, seen):
    method = make(named_graph)
    found = Recommender(method, named_graph, seen=seen)
    table = found.recommend_new({"ann": ["=i0", "=i4"], "bob": ["=i9"]}, k=30)
    pairs = torch.tensor([[0, 0, 1], [0, 4, 9]])
    score = fold_in(method, named_graph, pairs) @ method.embed(named_graph)[1].T
    for row, (name, own) in enumerate({"ann": [0, 4], "bob": [9]}.items()):
        hidden = own if seen == "all" else []
        kept = [i for i in CANDIDATES if i not in hidden]
        expected = sorted(kept, key=lambda i: (-float(score[row, i]), i))
        mine = table[table["user"] == name]
        assert mine["item"].tolist() == [f"=i{i}" for i in expected]


def test_a_trained_user_s_pairs_are_not_a_new_user_s(named_graph, make):
    found = Recommender(make(named_graph), named_graph)
    listed = set(found.recommend_new({"new": ["=i6"]}, k=30)["item"])
    assert {f"=i{i}" for u, i in SEEN if u == 0 and i in CANDIDATES} <= listed


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("k", [1, 4, 30])
def test_similar_items_agree_with_a_sort(named_graph, make, cosine, k):
    method = make(named_graph, cosine=cosine)
    table = Recommender(method, named_graph).similar(["=i4", "=i1"], k=k)
    assert list(table.columns) == ["like", "rank", "item", "score"]
    z = method.embed(named_graph)[1].double()
    score = torch.nn.functional.cosine_similarity(z.unsqueeze(0), z.unsqueeze(1), dim=2)
    for given in (4, 1):  # the second is no candidate
        kept = [i for i in CANDIDATES if i != given]
        expected = sorted(kept, key=lambda i, g=given: -float(score[g, i]))[:k]
        mine = table[table["like"] == f"=i{given}"]
        assert mine["item"].tolist() == [f"=i{i}" for i in expected]
        assert mine["rank"].tolist() == list(range(1, len(expected) + 1))
        found = [float(score[given, i]) for i in expected]
        assert mine["score"].tolist() == pytest.approx(found, rel=1e-4, abs=1e-6)


def test_similar_items_are_trained(make):
    graph = cases.toy_graph()
    found = Recommender(make(graph), graph)
    assert 11 not in found.similar([0], k=20)["item"].tolist()
    with pytest.warns(DataWarning, match=r"1 item has no train pair, e\.g\. '11'"):
        found.similar([0, 11], k=3)
    with pytest.raises(UnknownNameError, match="unknown item '12'"):
        found.similar([12])


def test_a_model_without_embeddings_has_no_similar_items(named_graph):
    found = Recommender(untrained(Popularity(named_graph)), named_graph)
    with pytest.raises(ConfigError, match="similar items"):
        found.similar(["=i4"])


@pytest.mark.parametrize("k", [0, -1])
def test_a_list_has_a_length(named_graph, make, k):
    found = Recommender(make(named_graph), named_graph)
    with pytest.raises(ConfigError, match=rf"k must be positive \(got {k}\)"):
        found.recommend(k=k)


def test_unknown_ids(named_graph, make):
    found = Recommender(make(named_graph), named_graph)
    with pytest.raises(UnknownNameError, match="unknown user '7'"):
        found.recommend([7])
    with pytest.raises(UnknownNameError, match="unknown item 'i7', did you mean '=i7'"):
        found.recommend_new({"new": ["i7"]})
    with pytest.raises(ConfigError, match="new user 0 has no item"):
        found.recommend_new({"new": ["=i11"]})
    with pytest.raises(ConfigError, match=r"at least one new user .*\(got none\)"):
        found.recommend_new({})


def test_scores_that_are_no_numbers(named_graph, make):
    method = make(named_graph, num_layers=0)
    with torch.no_grad():
        method.encoder.user[4] = torch.nan
    found = Recommender(method, named_graph)
    assert len(found.recommend([101], k=2)) == 2
    with pytest.raises(NonFiniteLossError, match="scores of user '105' are NaN"):
        found.recommend()


def test_no_tensor_is_made_on_a_device_left_to_chance(named_graph, make):
    method = make(named_graph)
    with DeviceIsNamed():
        found = Recommender(method, named_graph)
        found.recommend([101], k=2)
        found.recommend_new({"new": ["=i0", "=i4"]})


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("num_layers", [0, 2])
def test_cuda_agrees_with_cpu(named_graph, make, num_layers):
    method = make(named_graph, num_layers=num_layers)
    tables = []
    for device in ("cpu", "cuda"):
        found = Recommender(method.to(device), named_graph.clone().to(device))
        tables += [found.recommend(), found.recommend_new({"new": ["=i0", "=i4"]})]
    for one, other in zip(tables[:2], tables[2:], strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-4)


def test_the_toy_graph_hides_something(named_graph):
    seen = set(map(tuple, split_edges(named_graph, "train").T.tolist()))
    assert seen == SEEN
    assert any(i in CANDIDATES for _, i in seen)


@pytest.mark.parametrize("ids", [[103, 101], ["103", "101"]])
def test_integers_are_found_as_numbers_and_as_text(named_graph, ids):
    assert IdMap(named_graph, USER).rows(ids).tolist() == [2, 0]


def test_texts_are_found_as_they_are(named_graph):
    found = IdMap(named_graph, ITEM)
    assert found.rows(["=i4", "=i0"]).tolist() == [4, 0]
    assert found.values[[4, 0]].tolist() == ["=i4", "=i0"]


def test_rows_are_ids_where_there_are_no_others(graph):
    found = IdMap(graph, USER)
    assert found.rows([3, "0"]).tolist() == [3, 0]
    assert found.values.tolist() == list(range(9))


def test_no_ids(graph):
    assert IdMap(graph, USER).rows([]).dtype == torch.long


@pytest.mark.parametrize(
    ("node_type", "raw_id", "said"),
    [
        (ITEM, "=i44", "unknown item '=i44', did you mean '=i4'?"),
        (ITEM, "i1", "unknown item 'i1', did you mean '=i1' or '=i11' or '=i10'?"),
        (USER, 1, "unknown user '1': choose from 9 users, e.g. '101', '102', '103'"),
        (USER, -1, "unknown user '-1': choose from 9 users"),
    ],
)
def test_an_unknown_id_names_near_ones(named_graph, node_type, raw_id, said):
    with pytest.raises(UnknownNameError) as caught:
        IdMap(named_graph, node_type).rows([raw_id])
    assert str(caught.value).startswith(said)


def test_one_text_is_not_several_ids(named_graph, make):
    found = Recommender(make(named_graph), named_graph)
    with pytest.raises(TypeError, match=r"a list of user ids \(got '101'\)"):
        found.recommend("101")


@pytest.mark.parametrize("kind", SCORERS)
@pytest.mark.parametrize("seen", ["all", "none"])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_scorers_agree_with_a_sort(named_graph, kind, seen, chunk_size):
    encoder = kind(named_graph)
    found = Recommender(
        untrained(encoder),
        named_graph,
        seen=seen,
        chunk_size=chunk_size,
    )
    hidden = SEEN if seen == "all" else set()
    table = pd.concat(found.stream(k=4))
    for user, score in enumerate(naive_scores(encoder, cases.NUM_USERS)):
        kept = [i for i in CANDIDATES if (user, i) not in hidden]
        expected = sorted(kept, key=lambda i: (-score[i], i))[:4]
        mine = table[table["user"] == 101 + user]
        assert mine["item"].tolist() == [f"=i{i}" for i in expected]
        assert mine["score"].tolist() == [score[i] for i in expected]


def test_a_model_without_embeddings_has_no_new_users(named_graph):
    model = Popularity(named_graph)
    for encoder in (model, CustomEncoder(model)):
        found = Recommender(untrained(encoder), named_graph)
        with pytest.raises(ConfigError, match="model Popularity ranks by scores"):
            found.recommend_new({"new": ["=i0"]})
