"""The build-time chain with a content-addressed cache."""
