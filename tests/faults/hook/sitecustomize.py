"""Loaded by every Python process whose PYTHONPATH names this folder: workers too."""

import os

if "FAULT_VERSION" in os.environ:
    import fault_version

    fault_version.install(os.environ["FAULT_VERSION"])
if os.environ.get("FAULT"):
    import fault_injection

    fault_injection.install(os.environ["FAULT"])
