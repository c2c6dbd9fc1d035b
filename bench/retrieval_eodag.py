"""Downloads with eodag from a server on loopback: runs in an environment of its own.

``python peers_eodag.py ADDRESS KEY FOLDER SECONDS``: searches the collection of Theia of a server
that speaks as GEODES does, with the settings that eodag has for GEODES, downloads all products,
and prints what it says of each as JSON: the path, or the exception.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path


def main() -> None:
    """Search and download."""
    address, key, folder, seconds = sys.argv[1:5]
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    os.environ["EODAG_EXT_COLLECTIONS_CFG_FILE"] = ""
    os.environ["EODAG_CFG_DIR"] = str(home / "config")
    said = {"search": "", "products": {}}

    def ends() -> None:
        said["search"] = said["search"] or f"no end after {seconds} s"
        print(json.dumps(said), flush=True)
        os._exit(0)

    watch = threading.Timer(float(seconds), ends)
    watch.daemon = True
    watch.start()
    import eodag

    path = home / "eodag.yml"
    path.write_text(
        json.dumps(
            {
                "geodes": {
                    "priority": 100,
                    "search": {"api_endpoint": f"{address}/api/stac/search"},
                    "auth": {"matching_url": address, "credentials": {"apikey": key}},
                    "download": {"output_dir": str(home / "out"), "extract": False},
                }
            }
        )
    )
    dag = eodag.EODataAccessGateway(str(path))
    try:
        wanted = {"provider": "geodes", "collection": "S2_MSI_L2A_MAJA", "raise_errors": True}
        found = dag.search_all(start="2018-01-01", end="2019-01-01", **wanted)
    except Exception as error:  # noqa: BLE001  (what it says of a fault)
        said["search"] = f"{type(error).__name__}: {error}"[:300]
        found = []
    for product in found:
        title = product.properties.get("title") or product.properties.get("id")
        try:
            said["products"][title] = dag.download(product, wait=0.05, timeout=0.2)
        except Exception as error:  # noqa: BLE001
            said["products"][title] = f"{type(error).__name__}: {error}"[:300]
    watch.cancel()
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
