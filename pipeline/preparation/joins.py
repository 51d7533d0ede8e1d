"""Split joins of many tensors into chains of joins of two, the only joins on Akida."""

from __future__ import annotations

from pipeline.graph.graph import Graph


def split_joins(graph: Graph) -> Graph:
    """Split Concatenate and Add of more than two inputs into chains; the last node keeps the name.

    An average of more than two inputs is not a chain of averages, and is kept.
    """

    def splits(node):
        return len(node.inputs) > 2 and (
            node.op == "Concatenate" or (node.op == "Add" and not node.attrs["average"])
        )

    if not any(map(splits, graph.nodes)):
        return graph
    taken = set(graph.by_name)

    def split(node):
        if not splits(node):
            return None
        chain, left = [], node.inputs[0]
        for right in node.inputs[1:-1]:
            name, number = f"{node.name}_{right}", 1
            while name in taken:
                name, number = f"{node.name}_{right}_{number}", number + 1
            taken.add(name)
            chain.append(type(node)(name, node.op, (left, right), node.attrs))
            left = name
        return [*chain, node.with_inputs(left, node.inputs[-1])]

    return graph.rewrite(split)
