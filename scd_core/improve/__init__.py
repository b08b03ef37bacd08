"""A better model from the labels of an audit: what could be done is tried on places that were not learnt from, and written.

`run_improve` tries other views and new heads; `write_improved` makes a package of one of them.
"""
