"""Coat in the split of the AdvInfoNCE paper."""

from typing import ClassVar

from pyg_advinfonce.datasets.folder import PublishedDataset
from pyg_advinfonce.datasets.published import Licence, Published, PublishedFile


class Coat(PublishedDataset):
    """Ratings of coats, from "Recommendations as Treatments" (Schnabel et al.).

    The test split holds randomly shown coats. As published, 71 test pairs are also
    train pairs and 31 are also valid pairs.

    Args:
        root: Folder that holds ``coat/raw`` or ``coat``.
        cache_dir: Folder of the cached graphs (default: the user's cache folder).
        valid_fraction: Share of the train pairs that becomes ``valid``; used only if
            ``valid.txt`` is missing.
        seed: Seed of that split.
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
        licence=Licence(
            "reported as CC BY-NC 4.0: research only, no commercial use; ask the "
            "owners before you redistribute it",
            "https://www.cs.cornell.edu/~schnabts/mnar/",
        ),
    )
