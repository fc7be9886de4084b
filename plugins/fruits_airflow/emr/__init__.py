"""Everything that knows Amazon EMR: the cluster, its steps, their operators, failures, prices."""
