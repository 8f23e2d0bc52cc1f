"""mmprolong_data: the data contract of mmprolong, and reading."""
