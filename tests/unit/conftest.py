"""What several unit tests share."""

import pytest
from strip import Strip, draw_strip


@pytest.fixture(scope="session")
def strip(tmp_path_factory) -> Strip:
    return draw_strip(tmp_path_factory.mktemp("strip"))
