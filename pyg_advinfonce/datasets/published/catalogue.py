"""Catalogue of the published data sets.

Cards of the data sets with their sources are in ``data/``.
"""

from collections.abc import Mapping

from pyg_advinfonce.datasets.base import RawFile
from pyg_advinfonce.datasets.published.entry import (
    Licence,
    Published,
    PublishedFile,
    Upstream,
)
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import DATASETS, unknown


def _on_github(repository: str, commit: str, folder: str) -> Upstream:
    return Upstream(
        f"https://raw.githubusercontent.com/{repository}/{commit}/{folder}",
        f"https://github.com/{repository}/tree/{commit}/{folder}",
    )


_ADVINFONCE = _on_github(
    "LehengTHU/AdvInfoNCE", "e7c0416d6d0047343a90c338fa37cc2d8fa85da3", "data"
)
_LIGHTGCN = _on_github(
    "gusye1234/LightGCN-PyTorch", "947ca2b3b1d2d3545b114145710cb06c4e57b3d2", "data"
)
_SELFREC = _on_github(
    "Coder-Yu/SELFRec", "5b0229423cb1c727e85a704d63e460368c8b9dde", "dataset"
)
_GROUPLENS = Upstream(
    "https://files.grouplens.org/datasets", "https://grouplens.org/datasets"
)

_AMAZON = Licence(
    "Amazon reviews, provided for research; no licence is stated",
    "https://jmcauley.ucsd.edu/data/amazon/",
)
_MOVIELENS = Licence(
    "for research, with a citation; no commercial use and no redistribution without "
    "permission",
    "https://grouplens.org/datasets/movielens/",
)

_ENTRIES = (
    Published(
        name="coat",
        upstream=_ADVINFONCE,
        folder="coat",
        num_users=290,
        num_items=295,
        num_pairs={
            "train": 1363,
            "valid": 553,
            "test": 860,
        },
        files={
            "test_id.txt": PublishedFile(
                "65c44e3d50e10cd0565e56a3bd5a6732137b75a5",
                "e77d3a6af25cb0292e79a7659a075429b8df6c86559522c657e84a48bd23f685",
                3999,
            ),
            "test_ood.txt": PublishedFile(
                "65c44e3d50e10cd0565e56a3bd5a6732137b75a5",
                "e77d3a6af25cb0292e79a7659a075429b8df6c86559522c657e84a48bd23f685",
                3999,
            ),
            "train.txt": PublishedFile(
                "d65339b6280e223e73d098c609fef1a772bc9305",
                "e6c6a8727feeeae27d09c802b12d2d4a88e52aa75e4a3fd17fab439901483d5a",
                5980,
            ),
            "valid.txt": PublishedFile(
                "e0f714fce777112671f0d1aaa595df7b8524555e",
                "00e3d3d1a567e4ab6f3e0f7e35a849da6221afb0df767a9ce423df58938b849e",
                2816,
            ),
        },
        overlaps={"train/test": 71, "valid/test": 31},
        licence=Licence(
            "reported as CC BY-NC 4.0: research only, no commercial use; ask the "
            "owners before you redistribute it",
            "https://www.cs.cornell.edu/~schnabts/mnar/",
        ),
    ),
    Published(
        name="yahoo",
        upstream=_ADVINFONCE,
        folder="yahoo.new",
        num_users=14_382,
        num_items=1000,
        num_pairs={
            "train": 88_684,
            "valid": 36_393,
            "test": 4671,
        },
        files={
            "test_id.txt": PublishedFile(
                "7ff4f01a608422ff3762fbfd640a5686c6acd776",
                "358efe3c475f09f30073c9fcb9b7032ed371d5eddf2ca94ec565c4cc6d976a86",
                29_513,
            ),
            "test_ood.txt": PublishedFile(
                "7ff4f01a608422ff3762fbfd640a5686c6acd776",
                "358efe3c475f09f30073c9fcb9b7032ed371d5eddf2ca94ec565c4cc6d976a86",
                29_513,
            ),
            "train.txt": PublishedFile(
                "979f452ad8ed34a770a2f3256734c70b6d8f55d7",
                "cca11ae2c3baba4573a1451c8f892e1eb3d63aac4af6a2348f05ffc316ba98e6",
                418_096,
            ),
            "valid.txt": PublishedFile(
                "81091b24b40c7295057130acf429ad1feb3a177b",
                "ab7c0b345cac632fd65dfe5481b34e63d5aed2d3fb1546660bd84f7796c70aac",
                198_911,
            ),
        },
        licence=Licence(
            "provided by Yahoo! Webscope on request, for research only; it may not be "
            "redistributed",
            "https://webscope.sandbox.yahoo.com",
            advice="Prefer a copy that you requested yourself",
        ),
    ),
    Published(
        name="kuairec",
        upstream=_ADVINFONCE,
        folder="kuairec2",
        num_users=7176,
        num_items=10_728,
        num_pairs={
            "train": 1_087_278,
            "valid": 72_392,
            "test": 144_783,
        },
        files={
            "not_candidate.txt": PublishedFile(
                "165837e110441a349f567b53bf8749d120b3f534",
                "7311f73fc6970556a41923b7bbad151f88ae9ff1492e52511a57f6dced78ffb7",
                44_334,
            ),
            "test_id.txt": PublishedFile(
                "6c14a1e0f4d8e3226b6fea55bb2aa7e65fd39de3",
                "317f79e06867bc6f1c25ccf7daeba2523c72f13dcb69573b36b348488b56f976",
                717_971,
            ),
            "test_ood.txt": PublishedFile(
                "6c14a1e0f4d8e3226b6fea55bb2aa7e65fd39de3",
                "317f79e06867bc6f1c25ccf7daeba2523c72f13dcb69573b36b348488b56f976",
                717_971,
            ),
            "train.txt": PublishedFile("338bca555c27ba3aa39eafadcb963fc6e60cd67b"),
            "valid.txt": PublishedFile(
                "cdd1fa77980cc1da82ef074373a86ec2cb744762",
                "0723ea48e24677e7cca4e471dde608e78a10042de3fa2073ad27221a59ff971b",
                363_211,
            ),
        },
        licence=Licence("CC BY-SA 4.0", "https://kuairec.com", redistributable=True),
    ),
    Published(
        name="tencent",
        upstream=_ADVINFONCE,
        folder="tencent_synthetic",
        num_users=95_709,
        num_items=41_602,
        num_pairs={
            "train": 1_771_533,
            "valid": 295_505,
            "test_gamma_200": 292_937,
            "test_gamma_10": 290_308,
            "test_gamma_2": 286_945,
        },
        files={
            "test_ood_1.txt": PublishedFile(
                "cfbe3447b5b98949d050baff93948487cdc037fe",
                "82e7900f84c903e434dce6d42fcd5524759239d27a8ca839e1c541434dc4bd99",
                2_071_201,
            ),
            "test_ood_2.txt": PublishedFile(
                "647afe1e37416e2cc4fb46c008530af1fc46c07c",
                "be13e6876461d7fcff4afb9db80efdcfa940bdaa2fbbd59d68f673e15e3d276d",
                2_101_920,
            ),
            "test_ood_3.txt": PublishedFile(
                "8b5b8a553bcdeaecd3ca15ff3c9aceedc93f2752",
                "c77564f83d51ee2d371c45fee10dcfccfa786233af426ee81b1e1cb31a32fc24",
                2_107_004,
            ),
            "train.txt": PublishedFile("74bfcb44fc99989f3bb11f5b6989bad916a3b29c"),
            "valid.txt": PublishedFile(
                "64b44db2e736dcf2ca98e073570ff5e8b26637ae",
                "c37bd45eaec5f812bff4ff81bc736fdff55fa69a506675ba1fe0368401371bbf",
                1_973_675,
            ),
        },
        licence=Licence(
            "no licence is stated for the data; ask the authors before you use it "
            "outside of research or redistribute it",
            "https://github.com/LehengTHU/AdvInfoNCE",
        ),
    ),
    Published(
        name="gowalla",
        upstream=_LIGHTGCN,
        folder="gowalla",
        num_users=29_858,
        num_items=40_981,
        num_pairs={"train": 810_128, "test": 217_242},
        files={
            "train.txt": PublishedFile("a27782bd7a1d4d0744148dc0460ea94da74763f2"),
            "test.txt": PublishedFile(
                "9ed5af4b5d21511f33740b4e22e3852f45671800",
                "099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3",
                1_372_559,
            ),
        },
        licence=Licence(
            "collected for research (Stanford SNAP); no licence is stated",
            "https://snap.stanford.edu/data/loc-gowalla.html",
        ),
    ),
    Published(
        name="yelp2018",
        upstream=_LIGHTGCN,
        folder="yelp2018",
        num_users=31_668,
        num_items=38_048,
        num_pairs={"train": 1_237_259, "test": 324_147},
        files={
            "train.txt": PublishedFile("cda12361055ba448ae4bd1070f6000c16dea8f22"),
            "test.txt": PublishedFile(
                "30dfbc3437b27b74cb2970b435a5ec93ad9f2468",
                "9cd9b37926cd1447a06625ffa7914527573fb097c10cb0bbdb1d1b8ded3742fe",
                1_986_152,
            ),
        },
        licence=Licence(
            "Yelp's terms allow academic use and forbid redistribution",
            "https://www.yelp.com/dataset",
        ),
    ),
    Published(
        name="amazon-book",
        upstream=_LIGHTGCN,
        folder="amazon-book",
        num_users=52_643,
        num_items=91_599,
        num_pairs={"train": 2_380_730, "test": 603_378},
        files={
            "train.txt": PublishedFile("6ef55159c5f1fd7f6d86eb9ff290d0cc2854ac99"),
            "test.txt": PublishedFile(
                "09e5da4e0bf46c751c4ba0f4375e414fd13512cd",
                "6250754994dd953b91b48dccdd77a73f318e0634b4757c2abfcc9d33a54ab0f5",
                3_848_611,
            ),
        },
        licence=_AMAZON,
    ),
    Published(
        name="lastfm",
        upstream=_LIGHTGCN,
        folder="lastfm",
        num_users=1892,
        num_items=4489,
        num_pairs={"train": 42_135, "test": 10_533},
        files={
            "train.txt": PublishedFile(
                "35bf4551dfd63df6d68be9b09214fafd0927212d",
                "c82af3228cbbda2f55a39244de09ed93292894f1d0d9f1908ebb57e27598fded",
                579_727,
                "data1.txt",
            ),
            "test.txt": PublishedFile(
                "c4227df62457fa5b3bf2926d13cae0218f2bebea",
                "de4417c0e6123284ce59a0934bcf5288ec1ec8774a18a1eef453c9952dfa48f9",
                144_867,
                "test1.txt",
            ),
        },
        licence=Licence(
            "for non-commercial use (HetRec 2011, data of Last.fm)",
            "https://grouplens.org/datasets/hetrec-2011/",
        ),
        format="triples",
        positive_if="rating > 0",
    ),
    Published(
        name="amazon-beauty",
        upstream=_SELFREC,
        folder="amazon-beauty",
        num_users=22_363,
        num_items=12_101,
        num_pairs={"train": 176_139, "test": 22_363},
        files={
            "train.txt": PublishedFile(
                "ce869293500b4526c7ac0131930a676e3c96cf5f", size=979_751
            ),
            "test.txt": PublishedFile(
                "cd64b1a930d63f5cf6f1adf44059fad99768a894", size=233_415
            ),
        },
        licence=_AMAZON,
        own_ids=True,
    ),
    Published(
        name="ml-100k",
        upstream=_GROUPLENS,
        folder="movielens",
        num_users=943,
        num_items=1682,
        files={
            "ml-100k.zip": PublishedFile(
                "",
                "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
                4_924_029,
            )
        },
        licence=_MOVIELENS,
    ),
    Published(
        name="ml-1m",
        upstream=_GROUPLENS,
        folder="movielens",
        num_users=6034,
        num_items=3533,
        num_pairs={"train": 460_218, "valid": 57_527, "test": 57_527},
        files={
            "ml-1m.zip": PublishedFile(
                "",
                "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
                5_917_549,
            )
        },
        licence=_MOVIELENS,
    ),
    Published(
        name="ml-20m",
        upstream=_GROUPLENS,
        folder="movielens",
        num_users=136_677,
        num_items=20_720,
        num_pairs={"train": 7_992_546, "valid": 999_068, "test": 999_068},
        files={
            "ml-20m.zip": PublishedFile(
                "",
                "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
                198_702_078,
            )
        },
        licence=_MOVIELENS,
    ),
)

CATALOGUE: dict[str, Published] = {entry.name: entry for entry in _ENTRIES}
"""Entries by name."""


def known_set(name: str) -> Published:
    """Return the catalogue entry of a published data set.

    Raises:
        UnknownNameError: If the name is unknown.
        ConfigError: If the data set has no published files.
    """
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    published = CATALOGUE.get(name)
    if published is None:
        raise ConfigError(
            f"data set '{name}' has no published files: choose from "
            f"{', '.join(CATALOGUE)}"
        )
    return published


def recognise(files: Mapping[str, RawFile]) -> str | None:
    """Return the published data set that matches most files, or None."""
    counts = {name: _matches(known, files) for name, known in CATALOGUE.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None


def _matches(published: Published, files: Mapping[str, RawFile]) -> int:
    return sum(
        known is not None and known.difference(file.content) is None
        for name, file in files.items()
        for known in [published.file(name)]
    )
