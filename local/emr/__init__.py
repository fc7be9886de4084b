"""A stand-in for Amazon EMR: its JSON protocol on 127.0.0.1, its clusters as child processes of this machine.

It is no EMR: no EC2, no YARN, no IAM, nothing kept over a restart. It runs what it is told to, whoever asks: that is
why it listens on 127.0.0.1 unless explicitly told otherwise. In its state folder, for a console to read:

    <cluster-id>/node/                      working folder of everything the cluster runs; conf/ is its SPARK_CONF_DIR
    <cluster-id>/steps/<step-id>/           controller, stdout, stderr, growing as plain text while the step runs
    <cluster-id>/bootstrap-actions/<n>/     the same of bootstrap action n, and its script
"""
