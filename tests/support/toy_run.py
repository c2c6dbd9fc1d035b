"""A run of toy stages as a command of its own: ``python -m support.toy_run FOLDER EXECUTOR COUNT``.

Ends with the exit code of a run and one line of JSON: tasks done, up to date, and the failures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from oso_pipeline.core.errors import OsoError
from oso_pipeline.runtime.executors import LocalExecutor, SerialExecutor
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.folder.stragglers import StragglerWatch, Usual
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from support.minimal_config import minimal_config
from support.toy_stages import Numbers, Total

DEADLINE_S = 5


def main() -> int:
    folder, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    stages = [Numbers(list(range(1, count + 1)), folder / "trouble"), Total()]
    config = minimal_config(folder / "run")
    executor = SerialExecutor() if kind == "serial" else LocalExecutor(2, DEADLINE_S)
    log = LogFile(config.run_dir)
    # Tasks of a moment are slow sooner than those of a country.
    slow = StragglerWatch(config.run_dir, 60, [log], Usual(least_s=0.5), every_s=0.1)
    try:
        with slow:
            outcome = run(Planner(config, stages), executor, [log, slow], Selection())
    except OsoError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    failures = [[f.name, f.error, f.exit_code] for f in outcome.failures]
    print(json.dumps({"done": outcome.done, "old": outcome.up_to_date, "failures": failures}))
    return int(outcome.exit_code)


if __name__ == "__main__":
    sys.exit(main())
