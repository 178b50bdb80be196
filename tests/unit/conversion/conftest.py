"""A voice with random weights, small enough to convert with in a test."""

import pytest
from tiny_conversion import tiny_voice


@pytest.fixture(scope="session")
def voice():
    return tiny_voice()


@pytest.fixture(scope="session")
def converter(voice):
    from svc.conversion.converter import Converter

    return Converter(voice)
