"""No damaged file ends in a traceback; ``ADVNCE_FUZZ_INPUTS=50000`` tries that many."""

import os

import pytest

from tests.fuzz import Corpus, limited, run_inputs

INPUTS = int(os.environ.get("ADVNCE_FUZZ_INPUTS", "1000"))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What happened to the inputs."""
    with limited():
        corpus = Corpus(tmp_path_factory.mktemp("fuzz"))
        return run_inputs(corpus, range(INPUTS), seed=0)


def test_a_damaged_file_is_refused_or_read(outcome):
    first = [f"{reason}: {found[:3]}" for reason, found in outcome.failures.items()]
    assert not first, "\n".join([*first, *outcome.texts.values()])


def test_every_kind_of_file_was_damaged_and_noticed(outcome):
    noticed = {name for name, tally in outcome.tallies.items() if tally.refused}
    # A damaged cache is made anew; without values per user a test is left out.
    assert outcome.tallies.keys() - noticed <= {"data cache", "run: per_user.npz"}
    assert sum(tally.inputs for tally in outcome.tallies.values()) == INPUTS
