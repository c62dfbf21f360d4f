from tests.control.conftest import api

__all__ = ["api"]
