"""Filling folders from portals: catalogues, downloads, and a ledger of both; never part of a run.

``needs.py`` says what a season lacks. The catalogues of ``catalogues/`` are searched through
``access/`` (deadlines, keys, limits, circuit breakers) and answer in offers (``offers.py``).
``choice.py`` chooses between them, ``transfer/`` gets, checks and publishes files, ``ledger.py``
records what happened, and ``campaign.py`` does it all until nothing is left. Which providers there
are is data: ``providers.yaml``.
"""
