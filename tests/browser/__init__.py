"""The site in a real browser. `conftest.py` says how a test is written."""
