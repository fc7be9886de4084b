"""The prediction service: names the fruit on a photo."""
