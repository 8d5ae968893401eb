"""KuaiRec in the split of the AdvInfoNCE paper."""

from typing import ClassVar

from pyg_advinfonce.datasets.folder import PublishedDataset
from pyg_advinfonce.datasets.published import Licence, Published, PublishedFile


class KuaiRec(PublishedDataset):
    """Watched short videos with a fully observed part.

    From "KuaiRec: A Fully-observed Dataset and Insights for Evaluating Recommender
    Systems" (Gao et al.). Valid and test come from 1,411 users who were shown
    all of 3,327 videos; only those videos are ranked.

    Args:
        root: Folder that holds ``kuairec/raw``, ``kuairec`` or ``kuairec2``.
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes ``valid``; used only if
            ``valid.txt`` is missing.
        seed: Seed of that split.
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
        licence=Licence("CC BY-SA 4.0", "https://kuairec.com", redistributable=True),
    )
