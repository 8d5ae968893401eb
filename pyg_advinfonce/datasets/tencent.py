"""Tencent in the split of the AdvInfoNCE paper."""

from typing import ClassVar

from pyg_advinfonce.datasets.folder import PublishedDataset
from pyg_advinfonce.datasets.published import Licence, Published, PublishedFile


class Tencent(PublishedDataset):
    """Watched short videos with three tests of shifted popularity.

    The tests are ``test_gamma_200``, ``test_gamma_10`` and ``test_gamma_2``. A smaller
    gamma makes item popularity in the test more uniform, further away from train.

    Args:
        root: Folder that holds ``tencent/raw``, ``tencent`` or
            ``tencent_synthetic``.
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes ``valid``; used only if
            ``valid.txt`` is missing.
        seed: Seed of that split.
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
        licence=Licence(
            "no licence is stated for the data; ask the authors before you use it "
            "outside of research or redistribute it",
            "https://github.com/LehengTHU/AdvInfoNCE",
        ),
    )
