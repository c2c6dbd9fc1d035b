"""Getting files from the web: https and s3, whole or with a clear error.

``addresses.py`` says what an address may be and how it is shown, ``s3.py`` signs requests to object
stores, ``call.py`` says what a request is and ``transport.py`` sends one. ``connections.py`` and
``watchdog.py`` end each of its steps in time, ``redirections.py`` says which are followed, and
``failures.py`` what its failure means. ``transfer.py`` continues a file over several requests
on its ``terms.py``, and ``download.py`` checks that it is whole.
"""
