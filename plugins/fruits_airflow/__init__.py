"""What the DAGs are wired from: operators, the cluster, planning and publishing. It never imports pyspark."""
