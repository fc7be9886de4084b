"""CloudFormation templates of a deployment on AWS, and the commands that create and delete their stacks."""
