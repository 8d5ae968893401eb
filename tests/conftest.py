import pytest

from tests import cases


@pytest.fixture
def graph():
    """A new small graph; the last user and the last item are isolated."""
    return cases.toy_graph()


@pytest.fixture
def batch():
    """Five train pairs of that graph with four negatives each."""
    return cases.toy_batch()
