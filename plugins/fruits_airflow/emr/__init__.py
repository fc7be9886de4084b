"""Everything specific to Amazon EMR: the cluster, its steps, their operators, failures, prices."""
