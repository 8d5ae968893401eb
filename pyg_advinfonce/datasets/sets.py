"""Coat, Yahoo!R3, KuaiRec and Tencent, as split for the AdvInfoNCE paper."""

from pathlib import Path
from typing import ClassVar

from pyg_advinfonce.datasets.folder import InteractionDataset
from pyg_advinfonce.datasets.published import Published, PublishedFile, Terms


class PublishedDataset(InteractionDataset):
    """A data set whose name and files are known."""

    published: ClassVar[Published]

    def __init__(
        self,
        root: Path,
        *,
        cache_dir: Path | None = None,
        valid_fraction: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            root,
            name=self.published.name,
            cache_dir=cache_dir,
            valid_fraction=valid_fraction,
            seed=seed,
        )


class Coat(PublishedDataset):
    """Ratings of coats, from "Recommendations as Treatments" (Schnabel et al.).

    The test split holds randomly shown coats. 71 test pairs are also train pairs and 31
    are also valid pairs, as published.

    Args:
        root: The folder that holds ``coat/raw`` or ``coat``.
        cache_dir: Where processed data is kept (default: in the user's cache folder).
        valid_fraction: Used only where ``valid.txt`` is missing.
        seed: Decides which train pairs become valid ones then.
    """

    published: ClassVar[Published] = Published(
        name="coat",
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
        terms=Terms(
            "reported as CC BY-NC 4.0: for research, not for commercial use; ask its "
            "owners before you pass it on",
            "https://www.cs.cornell.edu/~schnabts/mnar/",
        ),
    )


class KuaiRec(PublishedDataset):
    """Watched short videos, with a part of which every pair was observed.

    From "KuaiRec: A Fully-observed Dataset and Insights for Evaluating Recommender
    Systems" (Gao et al.). Valid and test come from 1,411 users who were shown all
    of 3,327 videos; only those videos are ranked.

    Args:
        root: The folder that holds ``kuairec/raw``, ``kuairec`` or ``kuairec2``.
        cache_dir: Where processed data is kept (default: in the user's cache folder).
        valid_fraction: Used only where ``valid.txt`` is missing.
        seed: Decides which train pairs become valid ones then.
    """

    published: ClassVar[Published] = Published(
        name="kuairec",
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
        terms=Terms("CC BY-SA 4.0", "https://kuairec.com", redistributable=True),
    )


class Tencent(PublishedDataset):
    """Watched short videos with three made popularity shifts in the tests.

    ``test_gamma_200``, ``test_gamma_10`` and ``test_gamma_2``: the smaller gamma, the
    more alike are popular and other items in the test, and the further from train.

    Args:
        root: The folder that holds ``tencent/raw``, ``tencent`` or
            ``tencent_synthetic``.
        cache_dir: Where processed data is kept (default: in the user's cache folder).
        valid_fraction: Used only where ``valid.txt`` is missing.
        seed: Decides which train pairs become valid ones then.
    """

    published: ClassVar[Published] = Published(
        name="tencent",
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
        terms=Terms(
            "no licence is stated for the data; ask its authors before you use it for "
            "more than research or pass it on",
            "https://github.com/LehengTHU/AdvInfoNCE",
        ),
    )


class Yahoo(PublishedDataset):
    """Ratings of songs, from Yahoo! Webscope.

    They were studied in "Collaborative prediction and ranking with non-random missing
    data" (Marlin and Zemel). The test split holds randomly shown songs.

    Args:
        root: The folder that holds ``yahoo/raw``, ``yahoo`` or ``yahoo.new``.
        cache_dir: Where processed data is kept (default: in the user's cache folder).
        valid_fraction: Used only where ``valid.txt`` is missing.
        seed: Decides which train pairs become valid ones then.
    """

    published: ClassVar[Published] = Published(
        name="yahoo",
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
        terms=Terms(
            "given by Yahoo! Webscope on request, for research only; it may not be "
            "redistributed",
            "https://webscope.sandbox.yahoo.com",
            advice="Prefer a copy that you have requested yourself",
        ),
    )
