"""Finished facts to records of pages: every number already words, every link already relative. Templates only place them.

One module for each kind of page, and a template of the same name.
"""
