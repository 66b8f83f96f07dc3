"""edgewise.yaml becomes a ProjectSpec; errors name line and column."""
