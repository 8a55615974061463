"""The welfare data warehouse of Kota Tangerang: the package behind the DAGs and the `warehouse` command."""
