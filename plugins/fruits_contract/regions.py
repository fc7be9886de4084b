"""The regions of AWS that deployments may use."""

# eu-west-2 is in London and eu-central-2 in Zurich: Europe, but not the EU.
EU_REGIONS = ("eu-north-1", "eu-central-1", "eu-west-1", "eu-west-3", "eu-south-1", "eu-south-2")
