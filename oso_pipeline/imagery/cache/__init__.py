"""Copies of images that are slow to read, or cannot be read in blocks, in a run folder.

``copies.py`` names them, ``choice.py`` says before any work which images are copied, ``sources.py``
gets the numbers from where they are, ``transcode.py`` writes the TIFF, ``stage.py`` plans the
tasks, and ``reading.py`` refuses copies that are missing or outdated.
"""
