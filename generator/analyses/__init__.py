"""The analyses: pure functions from weights to facts, a module each. numpy in, frozen records out.

`connections` ranks what a neuron reads and writes, `spread` says how all its norms are spread and where noise ends;
`statistics` sums a neuron up and finds those like it; `nmf` factors its kernel into a picture (with `gram`, `cone`, `positive`,
`templates` and, for comparison, `posneg`); `group` factors the inputs of a whole layer; `faces` turns a layer's weights into
every neuron's picture.
"""
