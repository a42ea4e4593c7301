"""What every test shares."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes that test at once: each is to keep to one processor
    os.environ.setdefault("OMP_NUM_THREADS", "1")
