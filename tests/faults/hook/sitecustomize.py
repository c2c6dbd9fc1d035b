"""Loaded by every Python process whose PYTHONPATH names this folder: workers too."""

import os

if "FAULT" in os.environ:
    import fault_injection

    fault_injection.install(os.environ["FAULT"])
