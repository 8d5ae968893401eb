import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import tomli_w
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pyg_advinfonce
from pyg_advinfonce.config import (
    Config,
    flatten,
    packaged,
    parse_assignment,
    read_toml,
    settings_text,
    unflatten,
)
from pyg_advinfonce.config.config import (
    MAX_BYTES,
    SECTIONS,
    small_batch_size,
)
from pyg_advinfonce.errors import ConfigError, UnknownNameError
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.registry import DATASETS, LOSSES, MODELS

CONFIGS = Path(pyg_advinfonce.__file__).parent / "config" / "packaged"


def packaged_names():
    """Return data, model and loss of every packaged configuration."""
    for file in sorted(CONFIGS.glob("*/*.toml")):
        model, _, loss = file.stem.partition("-")
        yield file.parent.name, model, loss


PACKAGED = list(packaged_names())

# The paper's Table 12: adversary_lr, adversary_epochs, adversary_every, tau, lr,
# batch_size, num_negatives.
TABLE_12 = {
    ("tencent", "lightgcn"): (5e-5, 7, 5, 0.09, 1e-3, 2048, 128),
    ("kuairec", "lightgcn"): (5e-5, 12, 5, 2, 3e-5, 2048, 128),
    ("yahoo", "lightgcn"): (1e-4, 13, 5, 0.28, 5e-4, 1024, 64),
    ("coat", "lightgcn"): (1e-2, 20, 15, 0.75, 1e-3, 1024, 64),
    ("tencent", "mf"): (5e-5, 8, 5, 0.09, 1e-3, 2048, 128),
    ("yahoo", "mf"): (1e-4, 12, 5, 0.28, 5e-4, 1024, 64),
    ("coat", "mf"): (1e-2, 18, 15, 0.75, 1e-3, 1024, 64),
}
UNBIASED = ("test/recall@20", "test/ndcg@20")
GAMMAS = tuple(f"test_gamma_{gamma}" for gamma in (200, 10, 2))
PAIRS = tuple(f"{s}/{m}@20" for s in GAMMAS for m in ("recall", "ndcg"))
TRIPLES = (
    *(f"{s}/{m}@20" for s in GAMMAS for m in ("hr", "recall", "ndcg")),
    "valid/ndcg@20",
)
BPR_5 = (0.0835, 0.0299, 0.0164, 0.0516, 0.0190, 0.0102, 0.0357, 0.0141, 0.0080)
INFONCE_5 = (0.1476, 0.0538, 0.0318, 0.0920, 0.0334, 0.0194, 0.0627, 0.0233, 0.0141)
CCL_5 = (0.1395, 0.0523, 0.0317, 0.0930, 0.0353, 0.0221, 0.0683, 0.0266, 0.0170)
BC_5 = (0.1546, 0.0575, 0.0349, 0.1011, 0.0378, 0.0228, 0.0737, 0.0280, 0.0178)
ADAP_TAU_5 = (0.1398, 0.0512, 0.0302, 0.0876, 0.0316, 0.0182, 0.0591, 0.0221, 0.0134)
ADV_5 = (0.1606, 0.0595, 0.0355, 0.1111, 0.0412, 0.0249, 0.0813, 0.0308, 0.0189)
ULTRA_6 = (0.0930, 0.0343, 0.0190, 0.0567, 0.0215, 0.0119, 0.0400, 0.0157, 0.0095)
ULTRA_INFONCE_6 = (
    *(0.1436, 0.0519, 0.0303, 0.0896, 0.0324, 0.0189, 0.0617, 0.0227, 0.0135),
    0.0842,
)
ULTRA_ADV_6 = (
    *(0.1538, 0.0569, 0.0338, 0.1025, 0.0380, 0.0227, 0.0726, 0.0276, 0.0168),
    0.0883,
)
VGAE_INFONCE_6 = (
    *(0.1482, 0.0536, 0.0315, 0.0923, 0.0338, 0.0202, 0.0640, 0.0237, 0.0141),
    0.0823,
)
VGAE_ADV_6 = (
    *(0.1588, 0.0589, 0.0353, 0.1069, 0.0395, 0.0239, 0.0778, 0.0296, 0.0182),
    0.0871,
)
ADV_7 = (0.1600, 0.0594, 0.0356, 0.1087, 0.0403, 0.0243, 0.0774, 0.0295, 0.0180)
XIR_7 = (0.1463, 0.0538, 0.0326, 0.0936, 0.0341, 0.0211, 0.0642, 0.0245, 0.0154)
SDRO_7 = (0.1455, 0.0516, 0.0286, 0.0857, 0.0304, 0.0166, 0.0552, 0.0205, 0.0110)
INVCF_7 = (0.1651, 0.0605, 0.0331, 0.1061, 0.0386, 0.0204, 0.0722, 0.0272, 0.0149)
RESULTS = {
    # Table 4
    ("yahoo", "mf", "bpr"): (UNBIASED, (0.1189, 0.0546)),
    ("yahoo", "mf", "infonce"): (UNBIASED, (0.1478, 0.0694)),
    ("yahoo", "mf", "adv"): (UNBIASED, (0.1523, 0.0710)),
    ("coat", "mf", "bpr"): (UNBIASED, (0.2782, 0.1748)),
    ("coat", "mf", "infonce"): (UNBIASED, (0.2683, 0.1961)),
    ("coat", "mf", "adv"): (UNBIASED, (0.2905, 0.1999)),
    ("yahoo", "mf", "ccl"): (UNBIASED, (0.1458, 0.0689)),
    ("coat", "mf", "ccl"): (UNBIASED, (0.2682, 0.1712)),
    ("yahoo", "mf", "bc"): (UNBIASED, (0.1492, 0.0698)),
    ("coat", "mf", "bc"): (UNBIASED, (0.2698, 0.1959)),
    ("yahoo", "mf", "adap-tau"): (UNBIASED, (0.1512, 0.0694)),
    ("coat", "mf", "adap-tau"): (UNBIASED, (0.2712, 0.1986)),
    # Tables 5 and 7
    ("tencent", "mf", "ccl"): (TRIPLES, (*CCL_5, 0.0782)),
    ("tencent", "mf", "bc"): (TRIPLES, (*BC_5, 0.0864)),
    ("tencent", "mf", "adap-tau"): (TRIPLES, (*ADAP_TAU_5, 0.0844)),
    ("tencent", "mf", "bpr"): (TRIPLES, (*BPR_5, 0.0533)),
    ("tencent", "mf", "infonce"): (TRIPLES, (*INFONCE_5, 0.0856)),
    ("tencent", "mf", "adv"): (TRIPLES, (*ADV_5, 0.0860)),
    ("tencent", "lightgcn", "adv"): (TRIPLES, (*ADV_7, 0.0879)),
    ("tencent", "lightgcn", "xir"): (TRIPLES, (*XIR_7, 0.0883)),
    ("tencent", "lightgcn", "sdro"): (TRIPLES, (*SDRO_7, 0.0872)),
    ("tencent", "lightgcn", "invcf"): (TRIPLES, (*INVCF_7, 0.0912)),
    # Table 6
    ("tencent", "ultragcn", "bce"): (TRIPLES, (*ULTRA_6, 0.0682)),
    ("tencent", "ultragcn", "infonce"): (TRIPLES, ULTRA_INFONCE_6),
    ("tencent", "ultragcn", "adv"): (TRIPLES, ULTRA_ADV_6),
    ("tencent", "vgae", "infonce"): (TRIPLES, VGAE_INFONCE_6),
    ("tencent", "vgae", "adv"): (TRIPLES, VGAE_ADV_6),
    # Table 10
    ("kuairec", "lightgcn", "infonce"): (UNBIASED, (0.1800, 0.4529)),
    ("kuairec", "lightgcn", "adv"): (UNBIASED, (0.1979, 0.4697)),
    ("kuairec", "lightgcn", "adv-mlp"): (UNBIASED, (0.1851, 0.4579)),
    ("yahoo", "lightgcn", "infonce"): (UNBIASED, (0.1475, 0.0698)),
    ("yahoo", "lightgcn", "adv"): (UNBIASED, (0.1527, 0.0718)),
    ("yahoo", "lightgcn", "adv-mlp"): (UNBIASED, (0.1545, 0.0724)),
    ("coat", "lightgcn", "infonce"): (UNBIASED, (0.2689, 0.1882)),
    ("coat", "lightgcn", "adv"): (UNBIASED, (0.2846, 0.2026)),
    ("coat", "lightgcn", "adv-mlp"): (UNBIASED, (0.2843, 0.2002)),
    ("tencent", "lightgcn", "infonce"): (
        PAIRS,
        (0.0540, 0.0320, 0.0332, 0.0195, 0.0242, 0.0145),
    ),
    # Of SELFRec's and LightGCN's tables
    ("yelp2018", "mf", "bpr"): (UNBIASED, (0.0543, 0.0445)),
    ("yelp2018", "lightgcn", "bpr"): (UNBIASED, (0.0639, 0.0525)),
    ("yelp2018", "ncl", "bpr"): (UNBIASED, (0.0670, 0.0562)),
    ("yelp2018", "sgl", "bpr"): (UNBIASED, (0.0675, 0.0555)),
    ("yelp2018", "lightgcn", "directau"): (UNBIASED, (0.0695, 0.0583)),
    ("yelp2018", "simgcl", "bpr"): (UNBIASED, (0.0721, 0.0601)),
    ("yelp2018", "xsimgcl", "bpr"): (UNBIASED, (0.0723, 0.0604)),
    ("gowalla", "lightgcn", "bpr"): (UNBIASED, (0.1830, 0.1554)),
    ("amazon-book", "lightgcn", "bpr"): (UNBIASED, (0.0411, 0.0315)),
    ("tencent", "lightgcn", "adv-mlp"): (
        PAIRS,
        (0.0567, 0.0339, 0.0364, 0.0221, 0.0260, 0.0160),
    ),
}


def resolved(data, model, loss, *layers):
    return Config.resolve(model, loss, data, layers=layers)


@pytest.mark.parametrize(("data", "model"), TABLE_12)
def test_table_12(data, model):
    config = resolved(data, model, "adv")
    adversary = [
        config.loss.options[f"adversary_{key}"] for key in ("lr", "epochs", "every")
    ]
    train = config.train
    found = (*adversary, config.loss.options["tau"], train.lr, train.batch_size)
    assert (*found, train.num_negatives) == TABLE_12[data, model]
    assert (train.l2, config.loss.options["negative_weight"]) == (1e-5, 64)
    assert config.model.options["dim"] == 64
    assert config.model.options.get("num_layers") == (
        2 if model == "lightgcn" else None
    )


@pytest.mark.parametrize("loss", ["infonce", "rand", "adv-reverse"])
@pytest.mark.parametrize(("data", "model"), TABLE_12)
def test_the_other_losses_share_the_settings_of_table_12(data, model, loss):
    adv, other = resolved(data, model, "adv"), resolved(data, model, loss)
    assert (other.train, other.model) == (adv.train, adv.model)
    assert other.loss.options["tau"] == adv.loss.options["tau"]
    assert other.loss.options["negative_weight"] == (1 if loss == "infonce" else 64)
    if loss == "adv-reverse":
        assert other.loss.options == {**adv.loss.options, "reverse": True}


@pytest.mark.parametrize(("data", "model", "loss"), PACKAGED)
def test_the_paper_s_results(data, model, loss):
    names, values = RESULTS.get((data, model, loss), ((), ()))
    found = {
        k: v
        for k, v in packaged(data, model, loss).get("published", {}).items()
        if k not in ("table", "by")
    }
    assert found == dict(zip(names, values, strict=True))


def test_every_result_of_the_paper_has_its_configuration():
    assert set(RESULTS) <= set(PACKAGED)
    assert {(data, model) for data, model, loss in PACKAGED if loss == "adv"} >= set(
        TABLE_12
    )


@pytest.mark.parametrize(("data", "model", "loss"), PACKAGED)
def test_packaged_names_are_known(data, model, loss):
    assert (data in DATASETS, model in MODELS, loss in LOSSES) == (True, True, True)


@pytest.mark.parametrize(("data", "model", "loss"), PACKAGED)
def test_a_saved_configuration_is_read_back(data, model, loss, tmp_path):
    config = resolved(data, model, loss, {"train": {"seed": 7}})
    file = tmp_path / "config.toml"
    saved = config.model_dump(mode="json", exclude_none=True)
    file.write_text(tomli_w.dumps(saved), encoding="utf-8")
    assert Config.load(file) == config


values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    lambda value: st.lists(value, max_size=3),
    max_leaves=4,
)
free = st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), values)


@given(
    st.fixed_dictionaries(
        {
            "train": st.fixed_dictionaries(
                {},
                optional={
                    "epochs": st.integers(1, 10**9),
                    "seed": st.integers(0, 2**63 - 1),
                    "lr": st.floats(1e-300, 1e300),
                    "sampling": st.sampled_from(["user", "interaction"]),
                    "exclude_positives": st.booleans(),
                },
            ),
            **{name: free for name in SECTIONS if name != "train"},
        }
    )
)
@settings(max_examples=50)
def test_any_configuration_survives_a_file_and_the_command_line(sections):
    config = Config.resolve("mf", "adv", "none", layers=[sections])
    with TemporaryDirectory() as folder:
        config.save(Path(folder) / "config.toml")
        assert Config.load(Path(folder) / "config.toml") == config
    assert config.updated({}) == config
    words = [
        f"{section}.{key}=" + tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip()
        for section, keys in sections.items()
        for key, value in keys.items()
    ]
    typed = [parse_assignment(word) for word in words]
    assert Config.resolve("mf", "adv", "none", layers=typed) == config


def test_a_saved_configuration_does_not_follow_the_packaged_one(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        "model.name = 'mf'\nloss.name = 'adv'\ndata.name = 'coat'\n", encoding="utf-8"
    )
    assert Config.load(file).loss.options == {}


@pytest.mark.parametrize("data", ["coat", "coat:any", "simulated", "my_folder"])
def test_data_set_s_name_chooses_the_packaged_settings(data):
    expected = CONFIGS / data.split(":")[0] / "mf-adv.toml"
    assert bool(packaged(data, "mf", "adv")) == expected.is_file()


@pytest.mark.parametrize("data", ["../coat", "./coat", "/coat", "", "co at", "coat/x"])
def test_a_path_has_no_packaged_settings(data):
    assert packaged(data, "mf", "adv") == {}


def test_defaults_then_the_loss_then_the_packaged_file_then_the_layers():
    def negatives(loss, data, *values):
        layers = [{"train": {"num_negatives": value}} for value in values]
        return resolved(data, "mf", loss, *layers).train.num_negatives

    assert negatives("ccl", "none") == 64  # the default
    assert negatives("infonce", "none") == 128  # the preset
    assert negatives("bpr", "none") == 1  # the loss's own
    assert negatives("infonce", "tencent") == 128  # the packaged file
    assert negatives("infonce", "tencent", 3) == 3
    assert negatives("bpr", "none", 3, 4) == 4


def test_the_packaged_file_wins_over_the_loss(monkeypatch):
    found = {"train": {"num_negatives": 9}}
    monkeypatch.setattr("pyg_advinfonce.config.config.packaged", lambda *_: found)
    assert resolved("coat", "mf", "bpr").train.num_negatives == 9


EXACT = {"train": {"num_negatives": "all"}}
WEIGHTED = ("infonce", "adv", "adv-mlp", "rand", "adv-reverse")


@pytest.mark.parametrize("data", ["coat", "none"])
@pytest.mark.parametrize("loss", WEIGHTED)
def test_with_all_negatives_they_have_weight_1(data, loss):
    config = resolved(data, "lightgcn", loss, EXACT)
    assert config.train.num_negatives == "all"
    assert config.loss.options["negative_weight"] == 1.0
    sampled = resolved(data, "lightgcn", loss)
    assert sampled.train.num_negatives == {"coat": 64, "none": 128}[data]
    assert sampled.loss.options.get("negative_weight") != 1.0 or loss == "infonce"
    assert sampled.updated(EXACT).loss.options == config.loss.options
    assert config.updated({"train": {"lr": 0.5}}).loss.options == config.loss.options


def test_a_chosen_weight_of_all_negatives_stays():
    weight = {"loss": {"negative_weight": 7.0}}
    for layers in ([EXACT, weight], [weight, EXACT], [EXACT | weight]):
        config = resolved("coat", "mf", "adv", *layers)
        assert config.loss.options["negative_weight"] == 7.0
    config = resolved("coat", "mf", "adv").updated(EXACT | weight)
    assert config.loss.options["negative_weight"] == 7.0
    kept = resolved("coat", "mf", "adv", EXACT, weight).updated(EXACT)
    assert kept.loss.options["negative_weight"] == 7.0


def test_the_penalty_leaves_out_all_negatives_unless_it_is_set():
    assert resolved("coat", "mf", "ccl").train.l2_negatives
    assert not resolved("coat", "mf", "ccl", EXACT).train.l2_negatives
    chosen = {"train": {"num_negatives": "all", "l2_negatives": True}}
    assert resolved("coat", "mf", "ccl", chosen).train.l2_negatives


def test_a_number_in_a_later_layer_undoes_all_negatives():
    number = {"train": {"num_negatives": 64}}
    assert resolved("coat", "mf", "adv", EXACT, number) == resolved("coat", "mf", "adv")


def test_all_negatives_are_saved_and_read(tmp_path):
    config = resolved("coat", "mf", "adv", EXACT)
    config.save(tmp_path / "config.toml")
    assert Config.load(tmp_path / "config.toml") == config
    assert config.flat()["train.num_negatives"] == "all"
    assert parse_assignment("train.num_negatives=all") == EXACT


@pytest.mark.parametrize("value", [-1, 1.5, "every", True, "64", None])
def test_an_impossible_number_of_negatives(value):
    said = r"^train\.num_negatives: .* integer of at least 0, or 'all' \(got "
    with pytest.raises(ConfigError, match=said):
        resolved("coat", "mf", "adv", {"train": {"num_negatives": value}})


def test_a_layer_changes_its_own_keys_only():
    before = resolved("coat", "mf", "adv")
    after = resolved(
        "coat", "mf", "adv", {"loss": {"tau": 0.5}}, {"train": {"lr": 0.1}}
    )
    assert after.loss.options == {**before.loss.options, "tau": 0.5}
    assert after.train == before.train.model_copy(update={"lr": 0.1})
    own = {"num_negatives": 1, "l2_negatives": True}
    assert LOSSES["bpr"].options == {"train": own}


def test_the_default_loss_is_the_paper_s():
    assert resolved("coat", "mf", None).loss.name == "adv"


def test_a_packaged_file_may_be_copied_and_changed():
    layer = {**packaged("coat", "mf", "adv"), "train": {"lr": 0.5}}
    assert "published" in layer
    config = resolved("yahoo", "mf", "adv", layer)
    assert (config.loss.options["tau"], config.train.lr) == (0.75, 0.5)


@pytest.mark.parametrize(
    ("model", "loss", "layer", "said"),
    [
        ("fm", "adv", {}, "unknown model 'fm', did you mean 'mf'?"),
        ("mf", "advinfo", {}, "unknown loss 'advinfo', did you mean"),
        ("mf", "adv", {"trian": {}}, "unknown section 'trian', did you mean 'train'?"),
        ("mf", "adv", {"lr": 0.1}, "unknown section 'lr'"),
        ("mf", "adv", {"train": 3}, r"\[train\] must be a section of keys \(got 3\)"),
        ("mf", "adv", {"train": {"lrr": 1}}, "'train.lrr', did you mean 'train.lr'?"),
        ("mf", "adv", {"train": {"lr": "1e-3"}}, r"train.lr: .*\(got '1e-3'\)"),
        ("mf", "adv", {"train": {"lr": True}}, "train.lr: "),
        ("mf", "adv", {"train": {"epochs": 1.5}}, "train.epochs: "),
        ("mf", "adv", {"train": {"epochs": "3"}}, "train.epochs: "),
        ("mf", "adv", {"train": {"lr": float("inf")}}, "train.lr: "),
        ("mf", "adv", {"train": {"seed": 2**63}}, "train.seed: "),
        ("mf", "adv", {"train": {"sampling": 1}}, "train.sampling: "),
        ("mf", "adv", {"train": {"optimizer": "sgd"}}, "train.optimizer: "),
        ("mf", "adv", {"train": {"weight_decay": -0.1}}, "train.weight_decay: "),
        ("mf", "adv", {"train": {"clip_norm": 0}}, "train.clip_norm: "),
        ("mf", "adv", {"train": {"clip_norm": float("nan")}}, "train.clip_norm: "),
        ("mf", "adv", {"train": {"lr_epochs": 0}}, "train.lr_epochs: "),
        ("mf", "adv", {"train": {"lr_factor": 1.0}}, "train.lr_factor: "),
        ("mf", "adv", {"train": {"lr_schedule": "linear"}}, "train.lr_schedule: "),
        (
            *("mf", "adv", {"train": {"lr_schedule": "cosine"}}),
            "train.lr_epochs: lr_schedule 'cosine' needs a number",
        ),
        ("mf", "adv", {"model": "lightgcn"}, r"\[model\] must be a section of keys"),
        (
            *("mf", "adv", {"model": {"name": "lightgcn"}}),
            r"name the model 'lightgcn' \(expected 'mf'\)",
        ),
    ],
)
def test_what_is_wrong_is_named(model, loss, layer, said):
    with pytest.raises(ConfigError, match=said):
        resolved("coat", model, loss, layer)


def test_a_long_value_is_not_repeated():
    with pytest.raises(ConfigError) as error:
        resolved("coat", "mf", "adv", {"train": {"lr": "x" * 10_000}})
    assert len(str(error.value)) < 200


def test_whole_numbers_are_numbers():
    assert resolved("coat", "mf", "adv", {"train": {"lr": 1}}).train.lr == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[train\n", "not TOML: .*line 1"),
        (b"[train]\nlr = 1\nlr = 2\n", "not TOML: .*line 3"),
        (b"[train]\nlr = 1e-3x\n", "not TOML: .*line 2"),
        (b"\xff\xfe[train]", "not TOML"),
        (b"\0", "not TOML"),
        (b"a = " + b"[" * 100_000, "not TOML"),
        (b"a = " + b"9" * 10_000, "not TOML"),
        (b"#" * (MAX_BYTES + 1), f"expected at most {MAX_BYTES:,} bytes"),
    ],
    ids=["open", "twice", "number", "utf-16", "zero", "deep", "digits", "huge"],
)
def test_malformed_files_are_refused(tmp_path, content, said):
    file = tmp_path / "my.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"my\.toml: {said}"):
        read_toml(file)


@pytest.mark.parametrize("name", ["nowhere.toml", ".", "x" * 300])
def test_files_that_cannot_be_read_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"no such file|Is a directory|too long"):
        read_toml(tmp_path / name)


def test_an_endless_file_is_refused():
    endless = Path("/dev/zero")
    if not endless.exists():
        pytest.skip("this system has no /dev/zero")
    with pytest.raises(ConfigError, match="expected at most"):
        read_toml(endless)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.28", 0.28),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("3", 3),
        ("-1", -1),
        ("true", True),
        ("True", True),
        ("False", False),
        ("mlp", "mlp"),
        ('"mlp"', "mlp"),
        ("[1, 0.5]", [1, 0.5]),
        ("", ""),
        ("a = b", "a = b"),
        ("__import__('os')", "__import__('os')"),
        ("1\nx = 2", "1\nx = 2"),
        ("[" * 10_000, "[" * 10_000),
        ("9" * 5_000, float("inf")),
    ],
)
def test_an_assigned_value_is_toml_or_a_string(text, value):
    found = parse_assignment(f"loss.tau={text}")
    assert found == {"loss": {"tau": value}}
    assert type(found["loss"]["tau"]) is type(value)


@pytest.mark.parametrize(
    "text", ["", "loss", "loss=1", "loss.tau", "a.b.c=1", ".tau=1"]
)
def test_an_assignment_has_a_section_and_a_key(text):
    with pytest.raises(ConfigError, match=r"--set expects section\.key=value"):
        parse_assignment(text)


def test_an_assignment_s_section_is_known():
    with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
        parse_assignment("lss.tau=1")


def test_an_updated_configuration_keeps_the_rest():
    layer = {"train": {"lr": 0.5, "epochs": 3}, "loss": {"tau": 0.1}}
    config = Config.resolve("mf", "infonce", "toy", layers=[layer])
    found = config.updated({"train": {"lr": 0.25}, "model": {"dim": 4}})
    assert (found.train.lr, found.train.epochs) == (0.25, 3)
    assert (found.loss.options, found.model.options) == ({"tau": 0.1}, {"dim": 4})
    assert (config.train.lr, config.model.options) == (0.5, {})
    with pytest.raises(ConfigError, match=r"^train\.lr: "):
        config.updated({"train": {"lr": -1.0}})


def test_a_flat_configuration_names_every_setting():
    layer = {"train": {"lr": 0.5}, "loss": {"tau": 0.1}}
    flat = Config.resolve("mf", "infonce", "toy", layers=[layer]).flat()
    assert [flat[f"{section}.name"] for section in ("model", "loss", "data")] == [
        *("mf", "infonce", "toy"),
    ]
    assert (flat["train.lr"], flat["loss.tau"]) == (0.5, 0.1)
    assert flat["train.epochs"] == 2000


def test_a_number_of_neighbors_is_checked(monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.config.config.find_spec", lambda _: True)
    for numbers in ([20, 10], [-1, -1, -1]):
        layer = {"train": {"loader": "neighbor", "num_neighbors": numbers}}
        found = Config.resolve("lightgcn", layers=[layer])
        assert found.train.num_neighbors == numbers
    layer["train"]["num_neighbors"] = [5, -2]
    with pytest.raises(ConfigError, match=r"train\.num_neighbors\.1: .*-1 \(got -2\)"):
        Config.resolve("lightgcn", layers=[layer])


@pytest.mark.parametrize("loss", ["hdccf", "xir", "bir"])
def test_losses_of_in_batch_negatives_by_frequency_sample_train_pairs(loss):
    assert Config.resolve("mf", loss).train.sampling == "interaction"


@pytest.mark.parametrize("num_pairs", [8, 15, 16, 63, 64, 963, 1023])
def test_few_pairs_fill_four_to_seven_batches(num_pairs):
    assert 4 <= num_pairs // small_batch_size(num_pairs) <= 7


@pytest.mark.parametrize("num_pairs", [2, 3, 4, 7])
def test_a_small_batch_has_two_pairs_at_least(num_pairs):
    assert small_batch_size(num_pairs) == 2


def test_a_small_batch_of_one_pair():
    assert small_batch_size(1) == 1


PLAIN = {"model": {"name": "mf"}, "loss": {"name": "bpr"}, "data": {"name": "none"}}
FITTED = "ignore:train.batch_size is"
BATCH = {"train": {"batch_size": 512}}


@pytest.mark.filterwarnings(FITTED)
@pytest.mark.parametrize(
    ("config", "size"),
    [
        (Config.resolve("mf", "bpr", "none"), 4),
        (Config.resolve("mf", "adv", "coat"), 4),  # packaged
        (Config.resolve("autocf", None, "none"), 4),  # the pair's own
        (Config.resolve("mf", "bpr", "none").updated({"train": {"lr": 1.0}}), 4),
        (Config.resolve("mf", "bpr", "none", layers=[BATCH]), 512),
        (Config.resolve("mf", "bpr", "none", layers=[BATCH, {"train": {}}]), 512),
        (Config.resolve("mf", "bpr", "none").updated(BATCH), 512),
        (Config.resolve("mf", "bpr", "none").updated(BATCH).updated({}), 512),
        (Config(**PLAIN), 4),
        (Config(**PLAIN, **BATCH), 512),
    ],
)
def test_only_a_batch_size_that_nobody_set_is_fitted(config, size, graph):
    fitted = config.fitted_to(SimpleNamespace(graph=graph))
    assert fitted.train.batch_size == size
    assert fitted == config.updated({"train": {"batch_size": size}})


@pytest.mark.filterwarnings(FITTED)
def test_a_saved_batch_size_is_a_chosen_one(tmp_path, graph):
    config = Config.resolve("mf", "bpr", "none")
    config.save(tmp_path / "config.toml")
    saved = Config.load(tmp_path / "config.toml")
    assert saved.fitted_to(SimpleNamespace(graph=graph)) is saved
    assert saved == config


def test_fitting_twice_says_it_once(graph, recwarn):
    warnings.simplefilter("always")
    dataset = SimpleNamespace(graph=graph)
    fitted = Config.resolve("mf", "bpr", "none").fitted_to(dataset)
    assert fitted.fitted_to(dataset) is fitted
    assert [str(w.message)[:32] for w in recwarn] == [
        "train.batch_size is reduced to 4"
    ]


def test_enough_data_leaves_a_configuration_as_it_is(graph):
    pairs = torch.cartesian_prod(torch.arange(64), torch.arange(32)).t()
    dataset = SimpleNamespace(graph=build_graph(pairs, num_users=64, num_items=32))
    config = Config.resolve("mf", "bpr", "none")
    assert config.fitted_to(dataset) is config


def test_a_file_that_holds_the_same_is_not_written_again(tmp_path, monkeypatch):
    config, file = Config.resolve("mf", "bpr", "none"), tmp_path / "config.toml"
    config.save(file)
    before = file.stat()
    config.save(file)
    assert file.stat().st_ino == before.st_ino
    config.updated(BATCH).save(file)
    assert Config.load(file).train.batch_size == 512


def test_nested_settings_are_named_by_their_way_down():
    nested = {"model": "mf", "loss": {"tau": 0.1}, "a": {"b": {"c": [1]}}}
    assert flatten(nested) == {"model": "mf", "loss.tau": 0.1, "a.b.c": [1]}
    assert flatten(nested, 2) == {"model": "mf", "loss.tau": 0.1, "a.b": {"c": [1]}}


def test_named_settings_go_back_into_sections():
    sections = {"loss": {"tau": 0.1, "weight": 2}, "train": {"lr": 0.5}}
    assert unflatten(flatten(sections)) == sections


def test_settings_in_a_line_are_what_set_takes():
    text = settings_text({"loss.tau": 0.1, "train.sampling": "user"})
    assert text == "loss.tau=0.1 train.sampling=user"
    parsed = [parse_assignment(word) for word in text.split()]
    assert parsed == [{"loss": {"tau": 0.1}}, {"train": {"sampling": "user"}}]


def test_a_custom_name_takes_the_place_of_one_of_ours_without_its_keys():
    layers = [{"model": {"dim": 3}, "hardness": {"kind": "mlp"}, "train": {"lr": 0.5}}]
    config = Config.resolve("mf", "adv", layers=layers)
    found = config.with_custom(model=dict)
    assert (found.model.name, found.model.options) == ("builtins:dict", {})
    assert (found.loss, found.hardness) == (config.loss, config.hardness)
    assert found.custom == ["model"]
    found = found.with_custom(loss=set)
    assert (found.loss.name, found.loss.options) == ("builtins:set", {})
    assert (found.hardness, found.train) == ({}, config.train)
    assert found.custom == ["model", "loss"]
    assert (config.custom, config.with_custom()) == ([], config)


def test_a_custom_name_stays_with_its_keys(tmp_path):
    layers = [{"model": {"dim": 3}, "hardness": {"kind": "mlp"}}]
    config = Config.resolve("a:build", "b:Loss", layers=layers)
    assert config.with_custom(model=dict, loss=set) == config
    config.save(tmp_path / "config.toml")
    assert Config.load(tmp_path / "config.toml") == config
    assert config.updated({"model": {"dim": 4}}).model.options == {"dim": 4}
    with pytest.raises(ConfigError, match=r"name the model 'c:build' .expected 'a:b"):
        config.updated({"model": {"name": "c:build"}})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cache_dir": "/tmp/x"}, r"unknown key 'data.cache_dir'.* data.seed"),
        ({"root": "/"}, r"unknown key 'data.root'.* data.positive_if"),
        ({"path": "x.csv"}, r"unknown key 'data.path'"),
        ({"data": 3}, r"unknown key 'data.data'"),
        ({"seed": "x"}, r"data.seed: input should be a valid integer"),
        ({"valid_fraction": [0.1]}, r"data.valid_fraction: input should be"),
    ],
)
def test_a_file_passes_no_more_than_options_of_the_data(tmp_path, options, said):
    folder = tmp_path / "toy"
    folder.mkdir()
    for name in ("train", "valid", "test"):
        (folder / f"{name}.txt").write_text("0 0 1\n")
    config = Config.resolve("mf", "bpr", str(folder), layers=[{"data": options}])
    with pytest.raises(ConfigError, match=said):
        config.load_dataset(cache_dir=tmp_path)


@pytest.mark.parametrize("data", ["simulated", "coat", "table.csv"])
def test_the_cache_is_the_callers_for_any_data(tmp_path, data):
    (tmp_path / "table.csv").write_text("user,item\n0,1\n")
    data = data.replace("table", str(tmp_path / "table"))
    layers = [{"data": {"cache_dir": str(tmp_path)}}]
    config = Config.resolve("mf", "bpr", data, layers=layers)
    with pytest.raises(ConfigError, match=r"unknown key 'data.cache_dir'"):
        config.load_dataset(tmp_path)


@pytest.mark.parametrize("section", ["model", "loss", "data", "hardness", "train"])
def test_an_integer_has_64_bits_as_in_toml(tmp_path, section):
    path = tmp_path / "config.toml"
    path.write_text(f"[{section}]\nkey = 0x{'F' * 6000}\n")
    with pytest.raises(ConfigError, match=rf"^{section}.key: expected an int"):
        Config.resolve("mf", "bpr", layers=[read_toml(path)])


def test_layers_are_a_list():
    with pytest.raises(
        ConfigError, match=r"list of dictionaries \(got dict\): use \[{"
    ):
        Config.resolve("mf", "bpr", layers={"train": {"epochs": 3}})
