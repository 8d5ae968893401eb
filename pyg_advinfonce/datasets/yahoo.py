"""Yahoo!R3 in the split of the AdvInfoNCE paper."""

from typing import ClassVar

from pyg_advinfonce.datasets.folder import PublishedDataset
from pyg_advinfonce.datasets.published import Licence, Published, PublishedFile


class Yahoo(PublishedDataset):
    """Ratings of songs, from Yahoo! Webscope.

    The data set of "Collaborative prediction and ranking with non-random missing data"
    (Marlin and Zemel). The test split holds randomly shown songs.

    Args:
        root: Folder that holds ``yahoo/raw``, ``yahoo`` or ``yahoo.new``.
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes ``valid``; used only if
            ``valid.txt`` is missing.
        seed: Seed of that split.
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
        licence=Licence(
            "provided by Yahoo! Webscope on request, for research only; it may not be "
            "redistributed",
            "https://webscope.sandbox.yahoo.com",
            advice="Prefer a copy that you requested yourself",
        ),
    )
