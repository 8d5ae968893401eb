"""The configuration of a run: layers, defaults and validation."""

import re
import tomllib
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pyg_advinfonce.config.presets import preset as preset_settings
from pyg_advinfonce.errors import ConfigError, MissingExtraError
from pyg_advinfonce.files import read_bytes, write_text
from pyg_advinfonce.registry import (
    METRICS,
    all_negatives_settings,
    check_pair,
    custom_name,
    default_loss,
    is_custom,
    pair_settings,
    unknown,
)
from pyg_advinfonce.schema import validate

if TYPE_CHECKING:
    from pyg_advinfonce.datasets import Dataset


Sections = dict[str, dict[str, Any]]

NAMED = ("model", "loss", "data")
"""The sections with a ``name``; their other keys are arguments of what it names."""

SECTIONS = (*NAMED, "hardness", "train")

IN_MEMORY = "data in memory"
"""The name of data that no name or path leads to: a graph or a data frame."""

MAX_BYTES = 1_000_000

MAX_SEED = 2**63 - 1

NEIGHBOR_SAMPLERS = ("pyg_lib", "torch_sparse")


class Train(BaseModel):
    """The section ``[train]``.

    Attributes:
        epochs: The maximum number of epochs.
        batch_size: The number of train pairs per batch.
        num_negatives: The number of negatives per positive, for losses with sampled
            negatives; ``all`` sums over all items that the user has not seen
            (docs/methods.md 0.3).
        lr: The learning rate at the start of training.
        lr_schedule: How the learning rate of the main phase changes: not at all
            (``constant``), by ``lr_factor`` after every ``lr_epochs`` epochs
            (``step``), or along half a cosine to ``lr_factor`` times ``lr`` in the
            first ``lr_epochs`` epochs (``cosine``).
        lr_epochs: The number of epochs of the schedule.
        lr_factor: The factor of the schedule.
        optimizer: The optimiser of the main phase: ``adam`` or ``adamw``.
        weight_decay: The weight decay of all parameters of the main phase, besides the
            L2 penalty: part of the gradient for ``adam``, decoupled for ``adamw``.
        clip_norm: The maximum norm of the gradient of all parameters of the main phase
            together.
        l2: The weight of the L2 penalty on the embeddings.
        l2_negatives: Whether the L2 penalty includes a batch's negatives
            (docs/methods.md D1).
        l2_norm: ``squared`` penalises half the squared norms of the rows, ``plain`` the
            norm of all rows together (docs/methods.md 0.5).
        l2_reduction: ``mean`` divides the L2 penalty by the batch size, ``sum`` does
            not.
        l2_rows: The rows in the L2 penalty: of layer 0 (``ego``), of all ``layers``, or
            of the ``final`` embeddings.
        eval_every: The number of epochs between two validations.
        patience: The number of validations without improvement that ends training.
        sampling: ``user`` takes users in turn and draws one of their items;
            ``interaction`` takes each train pair once per epoch.
        exclude_positives: Never draw a user's train items as negatives.
        drop_last: Drop an epoch's last batch if it is not full.
        loader: ``full`` propagates over the whole graph; ``neighbor`` propagates over
            each batch's sampled neighbourhood.
        num_neighbors: The number of sampled neighbours per node and hop, -1 for all.
        num_workers: The number of processes that sample neighbours, 0 for none.
        metrics: Metrics of the final evaluation besides the default ones, see
            ``advnce ls metrics``.
        cuda_graph: Replay the steps of an epoch as a CUDA graph; the numbers are the
            same (docs/guides/gpu.md). Only on a GPU.
        triton: Score sampled negatives by a kernel of Triton. Only on a GPU.
        precision: ``bf16`` reads the rows of embeddings and of gradients as bfloat16 in
            propagation and in scores of sampled pairs; all else is float32
            (docs/guides/gpu.md). Only on a GPU.
        refit: Train on the pairs of all splits, for serving: all epochs, without
            validation and metrics.
        seed: The seed of all randomness.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    epochs: int = Field(default=2000, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    num_negatives: int | Literal["all"] = 64
    lr: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    lr_schedule: Literal["constant", "step", "cosine"] = "constant"
    lr_epochs: int | None = Field(default=None, ge=1, validate_default=True)
    lr_factor: float = Field(default=0.1, gt=0, lt=1)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    l2: float = Field(default=1e-5, ge=0, allow_inf_nan=False)
    l2_negatives: bool = False
    l2_norm: Literal["squared", "plain"] = "squared"
    l2_reduction: Literal["mean", "sum"] = "mean"
    l2_rows: Literal["ego", "layers", "final"] = "ego"
    eval_every: int = Field(default=5, ge=1)
    patience: int = Field(default=20, ge=1)
    sampling: Literal["user", "interaction"] = "user"
    exclude_positives: bool = True
    drop_last: bool = True
    loader: Literal["full", "neighbor"] = "full"
    num_neighbors: list[Annotated[int, Field(ge=-1)]] | None = None
    num_workers: int = Field(default=0, ge=0)
    metrics: list[str] | None = None
    cuda_graph: bool = False
    triton: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"
    refit: bool = False
    seed: int = Field(default=0, ge=0, le=MAX_SEED)

    @field_validator("lr_epochs")
    @classmethod
    def _is_set_for_a_schedule(cls, value: int | None, info: ValidationInfo) -> object:
        schedule = info.data.get("lr_schedule", "constant")
        if value is None and schedule != "constant":
            raise PydanticCustomError(
                "lr_epochs", "lr_schedule '{name}' needs a number", {"name": schedule}
            )
        return value

    @field_validator("num_negatives", mode="before")
    @classmethod
    def _is_number_or_all(cls, value: object) -> object:
        """Check before pydantic, which has one error for each type of a union."""
        is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if is_whole or value == "all":
            return value
        raise PydanticCustomError(
            "number_or_all", "input should be an integer of at least 0, or 'all'"
        )


class NamedSection(BaseModel):
    """One of the sections ``[model]``, ``[loss]`` and ``[data]``.

    Attributes:
        name: The name of the model, loss or data.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The section's other keys, the arguments of what ``name`` names."""
        return dict(self.model_extra or {})


class Config(BaseModel):
    """The configuration of a run. A section's keys are arguments of a constructor.

    Attributes:
        model: A name of :data:`pyg_advinfonce.registry.MODELS`, and arguments of the
            model's builder and encoder.
        loss: A name of :data:`pyg_advinfonce.registry.LOSSES`, and arguments of the
            loss.
        hardness: Arguments of :func:`pyg_advinfonce.losses.build_hardness`.
        data: A data set's name or a path, and arguments of the data set.
        train: The optimisation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: NamedSection
    loss: NamedSection
    hardness: dict[str, Any] = {}
    data: NamedSection
    train: Train = Train()

    @classmethod
    def resolve(
        cls,
        model: str,
        loss: str | None = None,
        data: str = "simulated",
        *,
        preset: str = "default",
        layers: Iterable[Sections] = (),
    ) -> Self:
        """Put a configuration together; later layers win.

        The first layers are the loss's own options, those of the pair of model and
        loss, the packaged file ``config/packaged/<data>/<model>-<loss>.toml`` if it
        exists, and the preset. A preset's defaults of other repositories yield to the
        packaged file. With ``train.num_negatives = "all"`` one more layer follows: the
        negatives have weight 1, and the L2 penalty leaves them out.

        Args:
            model: The model's name.
            loss: The loss's name (default: the model's default loss).
            data: The data set's name, or a path.
            preset: A name of :data:`pyg_advinfonce.config.PRESETS`.
            layers: Sections from files and flags. A file that names model, loss or
                data, as a saved configuration does, must agree with these arguments.

        Raises:
            ConfigError: If a name, key or value is wrong.
            MissingExtraError: If the loader needs a package that is not installed.
        """
        if isinstance(layers, Mapping):
            raise ConfigError(
                f"layers: expected a list of dictionaries (got {type(layers).__name__})"
                ": use [{...}]"
            )
        loss = loss or default_loss(model)
        check_pair(model, loss)
        names = {"model": model, "loss": loss, "data": data}
        own = pair_settings(model, loss)
        file = packaged(data, model, loss)
        chosen = preset_settings(preset, model, loss, data, file)
        defaults, given = [*own, file, chosen], [*layers]
        found = cls._merged(names, defaults, given)
        if found.train.num_negatives == "all":
            defaults.append(all_negatives_settings(loss))
            found = cls._merged(names, defaults, given)
        check_loader(found.train)
        for name in found.train.metrics or ():
            if name not in METRICS:
                raise unknown("metric", name, METRICS)
        return found

    @classmethod
    def _merged(
        cls,
        names: Mapping[str, str],
        defaults: Iterable[Mapping[str, Any]],
        layers: Sequence[Mapping[str, Any]],
        *,
        chosen: Collection[str] = (),
    ) -> Self:
        """Merge sections; only ``layers`` and ``chosen`` count as set in ``train``."""
        merged: Sections = {section: {} for section in SECTIONS}
        for section, name in names.items():
            merged[section]["name"] = name
        for layer in [*defaults, *layers]:
            for section, keys in layer.items():
                if section == "published":
                    continue
                _check_section(section, keys)
                merged[section] |= keys
                if section in names:
                    _check_name(section, names[section], keys)
                    merged[section]["name"] = names[section]
        train = validate("train", Train, merged.pop("train"))
        is_set = {*chosen, *(key for layer in layers for key in layer.get("train", ()))}
        train = Train.model_construct(is_set, **dict(train))
        return cls.model_validate({**merged, "train": train})

    def updated(self, sections: Sections) -> Self:
        """Return a copy with changed keys.

        A change to ``train.num_negatives = "all"`` also sets what :meth:`resolve` does.

        Raises:
            ConfigError: If a section, key or value is wrong.
        """
        names = {section: getattr(self, section).name for section in NAMED}
        defaults: list[Mapping[str, Any]] = [self.model_dump(exclude_none=True)]
        is_new = self.train.num_negatives != "all"
        if is_new and sections.get("train", {}).get("num_negatives") == "all":
            defaults.append(all_negatives_settings(self.loss.name))
        chosen = self.train.model_fields_set
        return self._merged(names, defaults, [sections], chosen=chosen)

    def with_custom(
        self, *, model: object | None = None, loss: object | None = None
    ) -> Self:
        """Return a copy that names a custom model and a custom loss.

        A custom name in the configuration stays, with its keys. A name of the library
        is replaced, and the keys of its section are dropped.

        Args:
            model: The model, or a class or function that builds it.
            loss: The loss, its class, or the name ``none``.
        """
        changed: dict[str, Any] = {}
        for section, target in {"model": model, "loss": loss}.items():
            if target is not None and not is_custom(getattr(self, section).name):
                name = target if isinstance(target, str) else custom_name(target)
                changed[section] = NamedSection(name=name)
        if "loss" in changed:
            changed["hardness"] = {}
        return self.model_copy(update=changed)

    @property
    def custom(self) -> list[str]:
        """The sections among ``model`` and ``loss`` that name custom code."""
        names = {"model": self.model.name, "loss": self.loss.name}
        return [section for section, name in names.items() if is_custom(name)]

    def fitted_to(self, dataset: "Dataset") -> Self:
        """Return a copy for a data set: its name if needed, and a fitting batch size.

        Data in memory gets a name of its own, since it cannot be loaded by one. The
        batch size is reduced if the data does not fill one batch, unless it was set by
        a layer of :meth:`resolve`, by :meth:`updated`, by a saved configuration or by
        :class:`Train` itself.

        Warns:
            UserWarning: If the batch size is reduced.
        """
        from pyg_advinfonce.graph import split_edges  # loads torch

        named = self
        if getattr(dataset, "in_memory", False):
            data = NamedSection(name=IN_MEMORY)
            named = self.model_copy(update={"data": data})
        num_pairs = split_edges(dataset.graph, "train").size(1)
        is_set = "batch_size" in self.train.model_fields_set
        if is_set or not 0 < num_pairs < self.train.batch_size:
            return named
        size = small_batch_size(num_pairs)
        warnings.warn(
            f"train.batch_size is reduced to {size}, since the data has "
            f"{num_pairs} train pairs",
            stacklevel=2,
        )
        return named.updated({"train": {"batch_size": size}})

    def check_held_out(self, what: object) -> None:
        """Refuse what is trained on the pairs of all splits.

        Args:
            what: The run's folder, or its name, for the message.

        Raises:
            ConfigError: If ``train.refit`` is set.
        """
        if self.train.refit:
            raise ConfigError(
                f"{what} is trained on the pairs of all splits (train.refit), so "
                "nothing is held out to validate or evaluate it on"
            )

    @property
    def pair(self) -> str:
        """The names of model and loss as text, e.g. ``lightgcn + adv``."""
        return f"{self.model.name} + {self.loss.name}"

    @property
    def title(self) -> str:
        """The name of a run, e.g. ``coat-lightgcn-adv``."""
        return f"{Path(self.data.name).name}-{self.model.name}-{self.loss.name}"

    def load_dataset(
        self, root: Path | str | None = None, cache_dir: Path | str | None = None
    ) -> "Dataset":
        """Load the data that the configuration names.

        Args:
            root: As for :func:`~pyg_advinfonce.datasets.load_dataset`.
            cache_dir: As for the same function.

        Raises:
            ConfigError: If a key of ``[data]`` is not an option of the data set.
            DataError: If the data is missing or wrong.
            ConfigError: If it was in memory.
        """
        from pyg_advinfonce.datasets import load_named

        if self.data.name == IN_MEMORY:
            raise ConfigError(
                "the run was trained on a graph or data frame in memory, which no name "
                "leads to: pass it in Python, load_run(folder, data=...)"
            )
        name, options = self.data.name, self.data.options
        return load_named(name, options, root=root, cache_dir=cache_dir)

    def flat(self) -> dict[str, Any]:
        """Return the values that are not None, names included, by ``section.key``."""
        return flatten(self.model_dump(exclude_none=True))

    @property
    def chosen(self) -> dict[str, Any]:
        """The values that are not None, names excluded, by ``section.key``."""
        names = {f"{section}.name" for section in NAMED}
        return {k: v for k, v in self.flat().items() if k not in names}

    def save(self, path: Path | str) -> None:
        """Write a TOML file for :meth:`load`, unless it has this content already."""
        path, text = Path(path), tomli_w.dumps(self.model_dump(exclude_none=True))
        if not path.is_file() or path.read_bytes() != text.encode():
            write_text(path, text)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a saved configuration.

        Raises:
            ConfigError: If the file is not a saved configuration.
        """
        saved = read_toml(Path(path))
        names: dict[str, str] = {}
        for section in NAMED:
            keys = saved.get(section)
            name = keys.get("name") if isinstance(keys, Mapping) else None
            if not isinstance(name, str):
                raise ConfigError(
                    f"{path}: expected a run's configuration with [{section}] name, "
                    "found another file, or one of another version of this library"
                )
            names[section] = name
        try:
            check_pair(names["model"], names["loss"])
            return cls._merged(names, [], [saved])
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def _check_name(section: str, name: str, keys: Mapping[str, Any]) -> None:
    other = keys.get("name", name)
    if other != name and not (section == "data" and is_same_data_name(name, other)):
        raise ConfigError(
            f"the settings name the {section} '{other}' (expected '{name}')"
        )


def is_same_data_name(one: str, other: object) -> bool:
    """Return whether two names may be of the same data, as ``mine`` and ``../mine``.

    Where a path leads to depends on the directory in which a command is run.
    """
    if not isinstance(other, str):
        return False
    return Path(one).absolute().name == Path(other).absolute().name


def _check_section(name: str, keys: object) -> None:
    if name not in SECTIONS:
        raise unknown("section", name, SECTIONS)
    if not isinstance(keys, Mapping):
        raise ConfigError(f"[{name}] must be a section of keys (got {keys!r:.80})")
    for key, value in keys.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ConfigError(f"{name}.{key}: expected an integer of 64 bits")


def check_loader(train: Train) -> None:
    """Check the settings of the loader and that its package is installed.

    Raises:
        ConfigError: If ``num_neighbors`` is set without the neighbour loader.
        MissingExtraError: If no package that samples neighbours is installed.
    """
    if train.loader == "neighbor":
        if not any(map(find_spec, NEIGHBOR_SAMPLERS)):
            raise MissingExtraError(
                "train.loader 'neighbor' needs pyg-lib, see https://data.pyg.org/whl, "
                "or torch-sparse: pip install --no-build-isolation "
                "'pyg-advinfonce[sparse]'"
            )
    elif train.num_neighbors is not None:
        raise ConfigError(
            "train.num_neighbors has no effect on train.loader 'full': set "
            "--loader neighbor (train.loader)"
        )


def small_batch_size(num_pairs: int) -> int:
    """Return a power of two that divides the train pairs into four to seven batches.

    A batch has at least two pairs, which are contrasted with each other.
    """
    return min(num_pairs, int(2 ** max(1, num_pairs.bit_length() - 3)))


def packaged(data: str, model: str, loss: str) -> Sections:
    """Return the packaged settings, with the paper's numbers as ``published``."""
    folder = data.split(":")[0]
    if not all(re.fullmatch(r"[\w-]+", part) for part in (folder, model, loss)):
        return {}
    root = resources.files("pyg_advinfonce.config") / "packaged" / folder
    file = root / f"{model}-{loss}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def paper_numbers(config: Config) -> dict[str, Any]:
    """Return the paper's numbers, empty unless the settings are as packaged."""
    names = config.data.name, config.model.name, config.loss.name
    settings = config.model_dump(exclude_none=True)
    saved = packaged(*names)
    for section, keys in saved.items():
        own = settings.get(section, keys)  # "published" is not a setting
        if any(own.get(key) != value for key, value in keys.items()):
            return {}
    return saved.get("published", {})


def read_toml(path: Path | str) -> dict[str, Any]:
    """Read a TOML file of moderate size.

    Raises:
        ConfigError: If the file is missing, too large or malformed.
    """
    path = Path(path)
    content = read_bytes(path, MAX_BYTES, ConfigError)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def parse_assignment(text: str) -> Sections:
    """Parse ``section.key=value``; the value is TOML, else a string.

    Raises:
        ConfigError: If the text has another form.
    """
    match = re.fullmatch(r"(\w+)\.(\w+)=(.*)", text, re.DOTALL)
    if match is None:
        raise ConfigError(
            f"--set expects section.key=value, e.g. loss.tau=0.28 (got '{text}')"
        )
    section, key, value = match.groups()
    if section not in SECTIONS:
        raise unknown("section", section, SECTIONS)
    return {section: {key: _parse_value(value)}}


def _parse_value(text: str) -> object:
    with suppress(ValueError, RecursionError):
        found = tomllib.loads(f"value = {text}")
        if list(found) == ["value"]:
            return found["value"]
    with suppress(ValueError):  # numbers that TOML does not have: .5
        return float(text)
    return {"True": True, "False": False}.get(text, text)


def flatten(settings: Mapping[str, Any], depth: int = 9) -> dict[str, Any]:
    """Return values by dotted name, ``section.key``, of at most ``depth`` parts."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and depth > 1:
            found |= {f"{name}.{k}": v for k, v in flatten(value, depth - 1).items()}
        else:
            found[name] = value
    return found


def unflatten(settings: Mapping[str, Any]) -> Sections:
    """Return sections of values named ``section.key``."""
    found: Sections = {}
    for name, value in settings.items():
        section, key = name.split(".")
        found.setdefault(section, {})[key] = value
    return found


def settings_text(settings: Mapping[str, object]) -> str:
    """Return settings in one line of assignments ``section.key=value``."""
    return " ".join(f"{name}={value}" for name, value in settings.items())
