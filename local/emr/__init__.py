"""An emulator of Amazon EMR: its JSON protocol on 127.0.0.1, its clusters as child processes of this machine.

There is no EC2, no YARN and no IAM. After a restart, the service still describes clusters that had ended and has forgotten
everything else. Whoever reaches the port can run programs; therefore it listens on 127.0.0.1 unless `--host` is given. A
console can read the state folder:

    <cluster-id>/cluster.json               its description, once it has ended
    <cluster-id>/node/                      working folder of all programs of the cluster
    <cluster-id>/conf/                      their SPARK_CONF_DIR
    <cluster-id>/steps/<step-id>/           controller, stdout and stderr, plain text that grows while the step runs
    <cluster-id>/bootstrap-actions/<n>/     the same for bootstrap action n, and its script
"""
