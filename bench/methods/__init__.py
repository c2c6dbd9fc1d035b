"""The methods: each module prepares one program, library or way of writing it.

A function takes its case (paths and sizes) and returns a :class:`bench.method.Prepared`.
Modules of peers import nothing of ours: they run in environments of their own.
"""
