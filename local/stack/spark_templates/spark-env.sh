# sourced by spark-submit, spark-class and pyspark: one place for the class path of every JVM
export SPARK_DIST_CLASSPATH="@JARS@/*"
export HADOOP_CONF_DIR="${SPARK_CONF_DIR}"
export SPARK_LOCAL_IP=127.0.0.1
# the JVM that only builds the command line
export SPARK_LAUNCHER_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
