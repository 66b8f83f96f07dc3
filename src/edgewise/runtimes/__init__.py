"""One Runtime protocol, a file a runtime or remote protocol, and bundles opened for use."""
