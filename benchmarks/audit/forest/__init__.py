"""The third maker of worlds: animals with home ranges in a forest, whose visits cameras see and people label in their own time.

Made from the description of issue 16 alone, without a look at any method; every number of it is a field of
:class:`benchmarks.audit.forest.animals.Forest`, :data:`benchmarks.audit.forest.errors.LOOKS` or
:data:`benchmarks.audit.forest.labels.REGIMES`.
"""
